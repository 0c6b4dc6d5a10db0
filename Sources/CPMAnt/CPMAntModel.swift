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
    let claims: TileClaims
    let kernels: leaf_kernels
    let activations: ActivationPrecision
    let resident: ResidentTensors
    let tuning: ResidentTuning
    let scratch: Scratch
    let positionBuckets: PositionBuckets
    /// For float weights only.
    let sgemm: leaf_sgemm_fn?
    /// The rows that are on the sweep now, and where it is.
    private(set) var step = Step()
    // What the threads run, made once: a closure made for each block would be an allocation for each.
    private lazy var fillingBuckets: ComputePool.Job = { [unowned self] worker throws(LeafError) in
        fillBuckets(worker)
    }
    private lazy var passing: ComputePool.Job = { [unowned self] worker throws(LeafError) in try pass(worker) }

    /// Bytes of everything that `init` allocates, for the memory plan.
    public static func plannedBytes(
        _ file: LeafFile, capacity: ForwardCapacity, activations: ActivationPrecision, kv: KVPrecision,
        tuning: ModelTuning = ModelTuning()
    ) -> (resident: Int, kv: Int, scratch: Int) {
        (
            ResidentTensors.byteCount(file).roundedUp(to: 4096)
                + ResidentTuning.byteCount(tuning, file, rows: capacity.rows).roundedUp(to: 4096),
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
        capacity: ForwardCapacity, activations: ActivationPrecision, kv: KVPrecision,
        tuning: ModelTuning = ModelTuning(), trace: TraceRecorder? = nil
    ) throws(LeafError) {
        self.file = file
        self.store = store
        self.trace = trace
        self.pool = pool
        claims = TileClaims(chunkCount: file.chunks.count)
        kernels = (instructionSet.table ?? leaf_kernels_best()).pointee
        self.capacity = capacity
        self.activations = activations
        configuration = file.configuration
        resident = try ResidentTensors(file, store: store)
        self.tuning = try ResidentTuning(tuning, file, rows: capacity.rows)
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
    ///   - body: is handed the number of each row that wants an output, and its logits: `[vocabSize]`, none for a row
    ///     that wants its hidden state alone. Rows with logits are counted first, both kinds in batch order.
    /// - Throws: `.io` and `.badInput` from reading, `.tooLong` when the batch exceeds the capacity, `.cancelled`. After
    ///   an error the rows' sequences must be removed.
    public func forward(
        _ batch: RowBatch, isCancelled: () -> Bool = { false },
        logits body: (Int, UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        let sweepBegin = TraceRecorder.now(trace)
        try begin(batch)
        claims.reset()
        try embed(batch)
        do throws(LeafError) {
            try pool.run(fillingBuckets)
            for (index, block) in file.blocks.enumerated() {
                let blockBegin = TraceRecorder.now(trace)
                if isCancelled() { throw LeafError(.cancelled, "stopped") }
                try store.settle()
                step.block = block
                try pool.run(passing)
                trace?.record(.block, on: .steps, since: blockBegin, index)
            }
            try store.settle()
        } catch {
            if error.kind == .cancelled { store.abandonSweep() }
            throw error
        }
        let kind = batch.rows.contains { $0.isContext } ? TraceRecorder.Kind.prompt : .decode
        trace?.record(kind, on: .steps, since: sweepBegin, batch.rows.count)
        for row in step.outputRows.indices {
            let logits = UnsafeBufferPointer(
                start: scratch.logits + row * scratch.vocabStride,
                count: row < step.logitRowCount ? configuration.vocabSize : 0)
            let output = logits.isEmpty ? finalHiddenState(ofRow: row) : logits
            // Zero times anything finite is zero: one pass finds any NaN or infinity.
            guard output.reduce(0, { $0 + $1 * 0 }) == 0 else {
                throw LeafError(
                    .badInput,
                    "\(file.path): the forward pass left the range of floats; the weights are damaged, convert the checkpoint again"
                )
            }
            try body(row, logits)
        }
    }

    /// One thread's part of one block.
    private func pass(_ worker: Int) throws(LeafError) {
        guard let block = step.block else { return }
        switch block.kind {
        case .attention(let layer): try attention(block, layer: layer, worker)
        case .feedForward(let layer): try feedForward(block, layer: layer, worker)
        case .tokenTable: try project(block, worker)
        }
    }

    /// What one sweep knows of its rows. There is one, whose arrays keep their room.
    struct Step {
        struct Group {
            let sequence: SequenceID
            /// Rows of the batch.
            let rows: Range<Int>
            let keyCount: Int
            /// `scratch.buckets` of the group's first row, and how far apart the rows' are.
            let bucketOffset: Int
            let bucketStride: Int
        }
        var rowCount = 0
        var groups: [Group] = []
        /// For each row of the batch its place in its sequence's cache.
        var positions: [Int] = []
        /// Rows of the batch that want an output, those with logits first.
        var outputRows: [Int] = []
        var logitRowCount = 0
        var block: Block?
    }

    /// Checks the batch against the capacity, gives its rows places in the cache, and works out who sees whom.
    private func begin(_ batch: RowBatch) throws(LeafError) {
        guard !batch.rows.isEmpty, batch.rows.count <= capacity.rows, batch.logitRowCount <= capacity.logitRows else {
            throw LeafError(
                .tooLong,
                "\(batch.rows.count) rows with \(batch.logitRowCount) rows of logits were asked of a model planned for \(capacity.rows) and \(capacity.logitRows); plan for a longer context"
            )
        }
        try check(batch.rows[...])
        tuning.begin(batch)
        step.rowCount = batch.rows.count
        step.groups.removeAll(keepingCapacity: true)
        step.positions.removeAll(keepingCapacity: true)
        step.outputRows.removeAll(keepingCapacity: true)
        var bucketOffset = 0
        var first = 0
        while first < batch.rows.count {
            let rows = batch.group(from: first)
            let sequence = batch.rows[first].sequence
            let keyCount = try cache.place(batch.rows[rows], in: sequence)
            for row in rows { step.positions.append(Int(batch.rows[row].index)) }
            step.groups.append(
                Step.Group(
                    sequence: sequence, rows: rows, keyCount: keyCount, bucketOffset: bucketOffset,
                    bucketStride: keyCount.roundedUp(to: 16)))
            bucketOffset += keyCount.roundedUp(to: 16) * rows.count
            first = rows.upperBound
        }
        guard bucketOffset <= scratch.bucketCapacity else {
            throw LeafError(
                .tooLong, "the batch looks at more cached tokens than were planned; plan for a longer context")
        }
        for row in batch.rows.indices where batch.rows[row].wantsLogits { step.outputRows.append(row) }
        step.logitRowCount = step.outputRows.count
        for row in batch.rows.indices where !batch.rows[row].wantsLogits && batch.rows[row].wantsHiddenState {
            step.outputRows.append(row)
        }
    }

    /// Whether the model has what the rows name.
    ///
    /// - Throws: `.usage` for the first row that it cannot compute.
    package func check(_ rows: ArraySlice<RowBatch.Row>) throws(LeafError) {
        let softPromptRows = configuration.promptRows + tuning.softPromptCount
        for row in rows {
            switch row.input {
            case .token(let id) where id < 0 || Int(id) >= configuration.vocabSize:
                throw LeafError(
                    .usage, "token id \(id) is outside the vocabulary (0 to \(configuration.vocabSize - 1))")
            case .softPrompt(let place) where place < 0 || Int(place) >= softPromptRows:
                throw LeafError(
                    .usage, "soft prompt row \(place) is outside the table (0 to \(softPromptRows - 1))")
            default: break
            }
            try tuning.check(row)
            guard row.segment >= 0, Int(row.segment) < configuration.segmentTypes else {
                throw LeafError(
                    .usage, "segment \(row.segment) is outside this model's (0 to \(configuration.segmentTypes - 1))")
            }
        }
    }

    /// `[query, key]` rows of the bias table, masked where CPM-Ant's rule says so: everyone sees context; others are
    /// seen by later rows that are not context. (Reference, sections 2.3 and 2.4.)
    private func fillBuckets(_ worker: Int) {
        for group in step.groups {
            cache.withPages(of: group.sequence) { pages in
                for place in pool.share(of: group.rows.count, for: worker) {
                    let position = step.positions[group.rows.lowerBound + place]
                    let query = cache.positions(page: pages[position / 16])[position % 16]
                    let buckets = scratch.buckets + group.bucketOffset + place * group.bucketStride
                    for page in pages.indices {
                        let keys = cache.positions(page: pages[page])
                        for key in 0..<16 {
                            let isVisible = page * 16 + key < group.keyCount && query.sees(keys[key])
                            buckets[page * 16 + key] =
                                isVisible ? positionBuckets.bucket(query, keys[key]) : UInt16(LEAF_MASKED)
                        }
                    }
                    for position in cache.hiddenPositions(of: group.sequence) {
                        buckets[position] = UInt16(LEAF_MASKED)
                    }
                }
            }
        }
    }
}

extension KVCache.Position {
    fileprivate func sees(_ key: Self) -> Bool {
        !isPadding && !key.isPadding && span == key.span && (key.isContext || (!isContext && key.index <= index))
    }
}

extension PositionBuckets {
    fileprivate func bucket(_ query: KVCache.Position, _ key: KVCache.Position) -> UInt16 {
        bucket(queryIndex: query.index, querySegment: query.segment, keyIndex: key.index, keySegment: key.segment)
    }
}
