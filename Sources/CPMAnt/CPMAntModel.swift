import CLeafBLAS
import CLeafKernels
public import LeafFormat
public import LeafStream

/// CPM-Ant's forward pass over streamed weights: rows in, logits out.
///
/// One sweep is one call of `forward`. The model owns every buffer that its capacity needs and allocates nothing
/// afterwards. It is not thread-safe: one engine thread calls it, and the compute pool works for that thread.
///
/// - Source: CPM-Ant reference, section 2; names follow CPM-Live.
public final class CPMAntModel {
    public let file: LeafFile
    public let configuration: ModelConfiguration
    public let capacity: ForwardCapacity
    public let cache: KVCache

    let store: BlockStore
    let trace: TraceRecorder?
    let pool: ComputePool
    let kernels: leaf_kernels
    let activations: ActivationPrecision
    let resident: ResidentTensors
    let scratch: Scratch
    let positionBuckets: PositionBuckets
    /// For float weights only.
    let sgemm: leaf_sgemm_fn?

    /// Bytes of everything that `init` allocates, for the memory plan.
    public static func plannedBytes(
        _ file: LeafFile, capacity: ForwardCapacity, activations: ActivationPrecision, kv: KVPrecision
    ) -> (resident: Int, kv: Int, scratch: Int) {
        (
            ResidentTensors.byteCount(file).roundedUp(to: 4096),
            KVCache.byteCount(file.configuration, kv, positions: capacity.positions, sequences: capacity.sequences)
                .roundedUp(to: 4096),
            Scratch.Sizes(file, capacity, activations).total.roundedUp(to: 4096)
                + (file.weights == .int8 ? 0 : blasBytes(threads: capacity.threads))
        )
    }

    /// - Throws: `.io` and `.badInput` when resident tensors cannot be read, `.budget` when the system refuses memory,
    ///   `.usage` when float weights meet a machine without OpenBLAS.
    public init(
        file: LeafFile, store: BlockStore, pool: ComputePool, instructionSet: InstructionSet,
        capacity: ForwardCapacity, activations: ActivationPrecision, kv: KVPrecision, trace: TraceRecorder? = nil
    ) throws(LeafError) {
        self.file = file
        self.store = store
        self.trace = trace
        self.pool = pool
        kernels = (instructionSet.table ?? leaf_kernels_best()).pointee
        self.capacity = capacity
        self.activations = activations
        configuration = file.configuration
        resident = try ResidentTensors(file, store: store)
        scratch = try Scratch(file, capacity, activations)
        cache = try KVCache(configuration, kv, positions: capacity.positions, sequences: capacity.sequences)
        positionBuckets = PositionBuckets(
            numBuckets: configuration.positionBiasNumBuckets, maxDistance: configuration.positionBiasMaxDistance,
            segmentTypes: configuration.segmentTypes)
        if file.weights == .int8 {
            sgemm = nil
        } else {
            guard let loaded = leaf_sgemm_load() else {
                throw LeafError(
                    .usage, "float weights need OpenBLAS, which is not installed; run apt-get install libopenblas0")
            }
            sgemm = loaded
        }
    }

    /// One sweep: every row passes every block, its keys and values enter the cache, and the rows that want logits get
    /// them.
    ///
    /// - Parameters:
    ///   - batch: at most `capacity.rows` rows, rows of one sequence together.
    ///   - isCancelled: asked between blocks.
    ///   - body: is handed the number of each logit row, counted from 0 in batch order, and its logits `[vocabSize]`.
    /// - Throws: `.io` and `.badInput` from reading, `.budget` when the batch exceeds the capacity, `.cancelled`. After
    ///   an error the rows' sequences must be removed.
    public func forward(
        _ batch: RowBatch, isCancelled: () -> Bool = { false },
        logits body: (Int, UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        let sweepBegin = TraceRecorder.now(trace)
        let step = try begin(batch)
        try embed(batch)
        do throws(LeafError) {
            for (index, block) in file.blocks.enumerated() {
                let blockBegin = TraceRecorder.now(trace)
                if isCancelled() { throw LeafError(.cancelled, "stopped") }
                try store.settle()
                switch block.kind {
                case .attention(let layer): try attention(block, layer: layer, step)
                case .feedForward(let layer): try feedForward(block, layer: layer, rows: batch.rows.count)
                case .tokenTable: try project(block, step)
                }
                trace?.record(.block, on: .steps, since: blockBegin, index)
            }
            try store.settle()
        } catch {
            if error.kind == .cancelled { store.abandonSweep() }
            throw error
        }
        let kind = batch.rows.contains { $0.isContext } ? TraceRecorder.Kind.prompt : .decode
        trace?.record(kind, on: .steps, since: sweepBegin, batch.rows.count)
        for row in step.logitRows.indices {
            let logits = UnsafeBufferPointer(
                start: scratch.logits + row * scratch.vocabStride, count: configuration.vocabSize)
            // Zero times anything finite is zero: one pass finds any NaN or infinity.
            guard logits.reduce(0, { $0 + $1 * 0 }) == 0 else {
                throw LeafError(
                    .badInput,
                    "\(file.path): the forward pass left the range of floats; the weights are damaged, convert the checkpoint again"
                )
            }
            try body(row, logits)
        }
    }

    /// What one sweep knows of its rows.
    struct Step {
        struct Group {
            let sequence: SequenceID
            /// Rows of the batch.
            let rows: Range<Int>
            let firstPosition: Int
            let keyCount: Int
            let pages: [UInt32]
            /// `scratch.buckets` of the group's first row, and how far apart the rows' are.
            let bucketOffset: Int
            let bucketStride: Int
        }
        let rowCount: Int
        let groups: [Group]
        /// Rows of the batch that want logits.
        let logitRows: [Int]
    }

    /// Checks the batch against the capacity, gives its rows places in the cache, and works out who sees whom.
    private func begin(_ batch: RowBatch) throws(LeafError) -> Step {
        guard !batch.rows.isEmpty, batch.rows.count <= capacity.rows, batch.logitRowCount <= capacity.logitRows else {
            throw LeafError(
                .budget,
                "\(batch.rows.count) rows with \(batch.logitRowCount) rows of logits were asked of a model planned for \(capacity.rows) and \(capacity.logitRows); plan for a longer context"
            )
        }
        try check(batch)
        var groups: [Step.Group] = []
        var bucketOffset = 0
        for (sequence, range) in batch.groups {
            let first = try cache.append(batch.rows[range], to: sequence)
            let pages = cache.sequences[sequence]?.pages ?? []
            let stride = pages.count * 16
            groups.append(
                Step.Group(
                    sequence: sequence, rows: range, firstPosition: first, keyCount: first + range.count, pages: pages,
                    bucketOffset: bucketOffset, bucketStride: stride))
            bucketOffset += stride * range.count
        }
        guard bucketOffset <= scratch.bucketCapacity else {
            throw LeafError(
                .budget, "the batch looks at more cached tokens than were planned; plan for a longer context")
        }
        try fillBuckets(groups)
        return Step(
            rowCount: batch.rows.count, groups: groups,
            logitRows: batch.rows.indices.filter { batch.rows[$0].wantsLogits })
    }

    private func check(_ batch: RowBatch) throws(LeafError) {
        for row in batch.rows {
            switch row.input {
            case .token(let id) where id < 0 || Int(id) >= configuration.vocabSize:
                throw LeafError(
                    .usage, "token id \(id) is outside the vocabulary (0 to \(configuration.vocabSize - 1))")
            case .softPrompt(let place) where place < 0 || Int(place) >= configuration.promptRows:
                throw LeafError(
                    .usage, "soft prompt row \(place) is outside the table (0 to \(configuration.promptRows - 1))")
            default: break
            }
            guard row.segment >= 0, Int(row.segment) < configuration.segmentTypes else {
                throw LeafError(
                    .usage, "segment \(row.segment) is outside this model's (0 to \(configuration.segmentTypes - 1))")
            }
        }
    }

    /// `[query, key]` rows of the bias table, masked where CPM-Ant's rule says so: everyone sees context; others are
    /// seen by later rows that are not context. (Reference, sections 2.3 and 2.4.)
    private func fillBuckets(_ groups: [Step.Group]) throws(LeafError) {
        for group in groups {
            guard let positions = cache.sequences[group.sequence]?.positions else { continue }
            try pool.run { worker throws(LeafError) in
                for place in pool.share(of: group.rows.count, for: worker) {
                    let query = positions[group.firstPosition + place]
                    let buckets = scratch.buckets + group.bucketOffset + place * group.bucketStride
                    for (index, key) in positions.enumerated() {
                        let isVisible =
                            !query.isPadding && !key.isPadding && query.span == key.span
                            && (key.isContext || (!query.isContext && key.index <= query.index))
                        buckets[index] =
                            isVisible
                            ? positionBuckets.bucket(
                                queryIndex: query.index, querySegment: query.segment, keyIndex: key.index,
                                keySegment: key.segment) : UInt16(LEAF_MASKED)
                    }
                    for index in positions.count..<group.bucketStride { buckets[index] = UInt16(LEAF_MASKED) }
                }
            }
        }
    }
}
