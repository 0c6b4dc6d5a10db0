import CLeafKernels
package import LeafFormat
package import LeafStream
package import LeafSystem

/// Runs a model's blocks over streamed weights: rows in, logits out.
///
/// One sweep is one call of `forward`. The executor owns every buffer that its capacity needs and allocates nothing
/// afterwards. It is not thread-safe: one engine thread calls it, and the compute pool works for that thread.
package final class Executor {
    package let file: LeafFile
    package let facts: ModelFacts
    /// What the buffers are made for.
    package let capacity: Demand
    /// What of it is for drafts.
    package let draftRoom: DraftRoom
    package let cache: KVCache

    let architecture: any Architecture
    let store: BlockStore
    let trace: TraceRecorder?
    let pool: ComputePool
    let claims: TileClaims
    let product: LinearProduct
    /// What sampling computes with, too.
    package var kernels: Kernels { pool.kernels }
    let tuning: ResidentTuning
    let observer: (any InputObserver)?
    let scratch: Scratch
    /// The file's matrices.
    let matrices: [SweepMatrix]
    /// The blocks that this executor runs.
    let blocks: Range<Int>
    /// Whose weights some of the blocks have in place of this executor's own, and which blocks those are.
    let lender: Executor?
    let borrowed: BorrowedBlocks?
    private let residents: ResidentTensors
    /// The rows that are on the sweep now, and which block.
    var step: Step
    // The jobs that the threads run. They are made once, because making a closure for each block would allocate.
    private lazy var filling: ComputePool.Job = { [unowned self] worker throws(LeafError) in fillBiasRows(worker) }
    private lazy var passing: ComputePool.Job = { [unowned self] worker throws(LeafError) in
        let source = source(ofBlock: step.block)
        try source.architecture.run(block: step.block, SweepThread(executor: self, source: source, number: worker))
    }

    /// - Parameters:
    ///   - residents: the architecture's tensors, and the scales of the matrices of the blocks that are run.
    ///   - store: holds the blocks that are run.
    ///   - pool: of `options.threads` threads.
    ///   - shared: the cache of an executor of the same shape and capacity, for a copy that drafts in its sequences;
    ///     nil for one of its own.
    ///   - lender: whose weights `options.borrowed` are; it rests while this one runs.
    /// - Throws: `.io` and `.badInput` when adapters cannot be read, `.budget` when the system refuses memory, `.usage`
    ///   when float weights meet a machine without OpenBLAS.
    package init(
        _ architecture: any Architecture, file: LeafFile, residents: ResidentTensors, store: BlockStore,
        pool: ComputePool, _ options: ExecutorOptions, sharing shared: KVCache? = nil,
        borrowingFrom lender: Executor? = nil, trace: TraceRecorder? = nil
    ) throws(LeafError) {
        precondition(pool.threadCount == options.threads && (lender == nil) == (options.borrowed == nil))
        self.lender = lender
        borrowed = options.borrowed
        self.architecture = architecture
        self.file = file
        self.residents = residents
        self.store = store
        self.trace = trace
        self.pool = pool
        observer = options.observer
        capacity = options.room
        draftRoom = options.drafts
        step = Step(capacity)
        let facts = architecture.facts
        self.facts = facts
        blocks = options.blocks ?? file.blocks.indices
        claims = TileClaims(chunkCount: file.chunks.count)
        product = try LinearProduct(pool.kernels, options.activations, layouts: file.matrices.map(\.layout))
        matrices = file.matrices.map {
            SweepMatrix($0, scales: residents.floats(FileShape.scaleName(of: $0.name)))
        }
        tuning = try ResidentTuning(options.tuning, file, facts, rows: capacity.rows)
        scratch = try Scratch(file, facts, options)
        cache = if let shared { shared } else { try KVCache(facts.attentions(in: blocks), options.kv, capacity) }
    }

    /// The parts of the memory plan that hold everything that `init` allocates, and the resident tensors.
    ///
    /// - Parameters:
    ///   - residentBytes: bytes of the architecture's tensors and tables.
    ///   - sharesCache: whether the cache is that of another executor.
    package static func parts(
        _ file: LeafFile, _ facts: ModelFacts, residentBytes: Int, _ options: ExecutorOptions, sharesCache: Bool = false
    ) -> [MemoryPlan.Part] {
        let capacity = options.room
        let tuning = ResidentTuning.byteCount(options.tuning, file, facts, rows: capacity.rows)
        let blas = file.matrices.contains { !$0.layout.isQuantized }
        let kv = KVCache.byteCount(
            facts.attentions(in: options.blocks ?? file.blocks.indices), options.kv, capacity)
        return [
            MemoryPlan.Part(.resident, residentBytes.roundedUp(to: 4096) + tuning.roundedUp(to: 4096)),
            MemoryPlan.Part(.kv, sharesCache ? 0 : kv.roundedUp(to: 4096)),
            MemoryPlan.Part(
                .scratch,
                Scratch.Sizes(file, facts, options).total.roundedUp(to: 4096)
                    + Step.byteCount(capacity).roundedUp(to: 4096)
                    + file.matrices.count * MemoryLayout<SweepMatrix>.stride
                    + TileClaims.byteCount(chunks: file.chunks.count)
                    + (options.observer?.byteCount(threads: options.threads) ?? 0)
                    + (blas ? LinearProduct.blasBytes(threads: options.threads) : 0)),
        ]
    }

    /// Runs one sweep: every row passes through every block, its keys and values enter the cache, and rows that want
    /// logits get them.
    ///
    /// - Parameters:
    ///   - batch: at most `capacity.rows` rows; rows of one sequence stand together.
    ///   - direction: the blocks from the first to the last, or back again; the direction of the store's sweep.
    ///   - given: the rows' hidden states, `[rows, dModel]`, where another executor ran the blocks before; nil to
    ///     embed.
    ///   - isCancelled: called between blocks.
    ///   - body: is handed the number of each row that wants an output, and its logits: `[vocabSize]`, none for a row
    ///     that wants its hidden state alone. Rows with logits are counted first, both kinds in batch order. It is not
    ///     called where the output block is not among `blocks`: `hiddenState(ofRow:)` has the result then.
    /// - Throws: `.io` and `.badInput` from reading, `.tooLong` when the batch exceeds the capacity, `.cancelled`.
    ///   After an error the rows' sequences must be removed.
    package func forward(
        _ batch: RowBatch, direction: SweepDirection = .forward, given: UnsafeBufferPointer<Float>? = nil,
        isCancelled: () -> Bool = { false },
        logits body: (Int, UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        let sweepBegin = TraceRecorder.now(trace)
        try begin(batch)
        claims.reset()
        lender?.claims.reset()
        if let given { take(given) } else { try embed(batch, fromTableOf: source(ofBlock: file.blocks.count - 1)) }
        do throws(LeafError) {
            try pool.run(filling)
            step.direction = direction
            for number in 0..<blocks.count {
                let index = direction == .forward ? blocks.lowerBound + number : blocks.upperBound - 1 - number
                let blockBegin = TraceRecorder.now(trace)
                if isCancelled() { throw LeafError(.cancelled, "stopped") }
                try store.settle()
                step.block = index
                try pool.run(passing)
                trace?.record(.block, on: .steps, since: blockBegin, index)
            }
            try store.settle()
            try store.checkUnchanged()
        } catch {
            if error.kind == .cancelled { store.abandonSweep() }
            throw error
        }
        let kind = batch.rows.contains { $0.isContext } ? TraceRecorder.Kind.prompt : .decode
        trace?.record(kind, on: .steps, since: sweepBegin, batch.rows.count)
        if blocks.contains(facts.outputBlock) { try handOutputs(to: body) }
    }

    // MARK: What a sweep knows of its rows

    /// The rows of a sweep. All sweeps use the same value, whose arrays keep their room.
    struct Step {
        struct Group {
            let sequence: SequenceID
            /// The group's rows in the batch.
            let rows: Range<Int>
            let keyCount: Int
            /// `scratch.biasRows` of the group's first row, and how far apart the rows' are.
            let biasOffset: Int
            let biasStride: Int
        }
        var rowCount = 0
        /// One for each sequence with rows on the sweep.
        var groups: [Group] = []
        /// For each row of the batch, its position in its sequence's cache.
        var places: [Int] = []
        /// The rows of the batch that want an output, those with logits first.
        var outputRows: [Int] = []
        var logitRowCount = 0
        var block = 0
        var direction = SweepDirection.forward

        /// Reserves what the largest sweep needs, so that a sweep allocates nothing.
        init(_ capacity: Demand) {
            groups.reserveCapacity(Self.groupCount(capacity))
            places.reserveCapacity(capacity.rows)
            outputRows.reserveCapacity(capacity.rows)
        }

        static func byteCount(_ capacity: Demand) -> Int {
            groupCount(capacity) *| MemoryLayout<Group>.stride +| 2 *| capacity.rows *| MemoryLayout<Int>.stride
        }

        private static func groupCount(_ capacity: Demand) -> Int { max(1, min(capacity.sequences, capacity.rows)) }
    }

    /// Whether the rows that these matrices read are to be quantized.
    func isQuantized(_ indices: Range<Int>) -> Bool { matrices[indices].contains { $0.layout.isQuantized } }

    /// The next outputs of a chunk that nobody has claimed; whole tiles of 16, so that every part begins aligned.
    func claim(_ chunk: Int, of matrix: Int, ordinal: Int) -> SweepThread.Part? {
        let entry = file.chunks[chunk]
        let tileCount = entry.outputCount.roundedUp(to: 16) / 16
        let step = TileClaims.step(of: tileCount, threads: pool.threadCount, matrices[matrix].layout)
        guard let tiles = claims.take(step, of: tileCount, in: chunk) else { return nil }
        let last = min(tiles.upperBound * 16, entry.outputCount)
        return SweepThread.Part(
            matrix: matrix, ordinal: ordinal,
            outputs: entry.firstOutput + tiles.lowerBound * 16..<entry.firstOutput + last)
    }
}

extension ModelFacts {
    /// The same attentions, but those outside of `blocks` without heads: an executor of some blocks caches nothing for
    /// the others.
    func attentions(in blocks: Range<Int>) -> [Attention] {
        attentions.map { attention in
            guard !blocks.contains(attention.block) else { return attention }
            return Attention(block: attention.block, queryHeads: 0, keyHeads: 0, dimHead: attention.dimHead)
        }
    }
}
