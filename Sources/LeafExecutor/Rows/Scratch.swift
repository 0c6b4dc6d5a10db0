import CLeafKernels
package import LeafFormat
package import LeafSystem

/// Every buffer of the forward pass, named once, allocated once.
///
/// R rows, L logit rows, D dModel, Q the widest queries, K the widest keys, F feed-forward; widths are padded to 64
/// numbers, so that each row is aligned and ends in zeros.
package final class Scratch {
    /// `[R, D]`: the residual stream.
    package let hiddenStates: FloatRows
    /// `[R, D]` what a half layer adds to it.
    package let delta: FloatRows
    /// `[R, Q]`, `[R, K]`, `[R, K]`; they share their memory with `gate` and `up`, which never live at the same time.
    package let queries: FloatRows
    package let keys: FloatRows
    package let values: FloatRows
    /// `[R, Q]` what each query head has seen, where its query was.
    package var attended: FloatRows { queries }
    /// `[R, F]`
    package let gate: FloatRows
    /// `[L, vocab]`
    package let logits: FloatRows

    /// `[R, widest]` normalized rows, attended rows, gated rows; as wide as the linear layer that reads them.
    private let linearInputs: UnsafeMutablePointer<Float>
    /// `[R]` the same quantized, one behind the other; beside quantized weights only.
    let quantizedRows: UnsafeMutableRawPointer
    /// `[R, partOutputs]` for each thread: its part of one chunk of the up projection.
    private let ups: UnsafeMutablePointer<Float>
    private let upStride: Int
    private let rows: Int
    /// `[query, cached position]`: rows of the bias table, or `LEAF_MASKED` if the query must not see the key.
    let biasRows: UnsafeMutablePointer<UInt16>
    let biasRowCapacity: Int
    /// `[D]` the bias of a model that has none, and what is added where nothing is.
    let zeros: UnsafePointer<Float>
    /// One stored unit of the token table.
    let tableUnit: UnsafeMutableRawPointer
    /// Memory of each thread: attention scores, and float weights that are widened for sgemm.
    private let perThread: UnsafeMutableRawPointer
    private let perThreadBytes: Int
    private let scoreFloats: Int

    private let arena: Arena

    package init(_ file: LeafFile, _ facts: ModelFacts, _ options: ExecutorOptions) throws(LeafError) {
        let sizes = Sizes(file, facts, options)
        let capacity = options.room
        arena = try Arena(byteCount: sizes.total)
        let rows = capacity.rows
        self.rows = rows
        upStride = sizes.upStride
        biasRowCapacity = sizes.biasRowCount
        hiddenStates = FloatRows(arena.take(rows * sizes.dModel, of: Float.self), stride: sizes.dModel)
        linearInputs = arena.take(rows * sizes.widest, of: Float.self)
        quantizedRows = UnsafeMutableRawPointer(arena.take(sizes.quantizedBytes, of: UInt8.self))
        delta = FloatRows(arena.take(rows * sizes.dModel, of: Float.self), stride: sizes.dModel)
        let shared = arena.take(sizes.sharedFloats, of: Float.self)
        queries = FloatRows(shared, stride: sizes.query)
        keys = FloatRows(shared + rows * sizes.query, stride: sizes.key)
        values = FloatRows(shared + rows * (sizes.query + sizes.key), stride: sizes.key)
        gate = FloatRows(shared, stride: sizes.feedForward)
        ups = shared + rows * sizes.feedForward
        biasRows = arena.take(biasRowCapacity, of: UInt16.self)
        zeros = UnsafePointer(arena.take(sizes.dModel, of: Float.self))
        logits = FloatRows(arena.take(capacity.logitRows * sizes.vocab, of: Float.self), stride: sizes.vocab)
        tableUnit = UnsafeMutableRawPointer(arena.take(sizes.tableUnitBytes, of: UInt8.self))
        perThreadBytes = sizes.perThreadBytes
        scoreFloats = sizes.scoreFloats
        perThread = UnsafeMutableRawPointer(arena.take(perThreadBytes * options.threads, of: UInt8.self))
    }

    /// The most query rows in one call of the attention kernel, which widens each page of the cache once for all of
    /// them.
    static let attentionRows = 48

    /// `[R, columns]` what a linear layer of that many columns reads.
    func linearInput(columns: Int) -> FloatRows { FloatRows(linearInputs, stride: columns.roundedUp(to: 64)) }

    /// `[outputs, D]` the rows with an output after the last norm: what the output projection reads, and the last that
    /// is prepared on a sweep.
    func finalHiddenStates(dModel: Int) -> FloatRows { linearInput(columns: dModel) }

    /// `[R, partOutputs]` this thread's part of the up projection.
    package func up(_ thread: SweepThread) -> FloatRows {
        FloatRows(ups + thread.number * rows * upStride, stride: upStride)
    }

    func scores(thread: Int) -> UnsafeMutablePointer<Float> {
        (perThread + thread * perThreadBytes).assumingMemoryBound(to: Float.self)
    }

    func widened(thread: Int) -> UnsafeMutablePointer<Float> { scores(thread: thread) + scoreFloats }

    /// The size of each buffer; the plan and the allocation use the same numbers.
    package struct Sizes {
        let dModel: Int
        let query: Int
        let key: Int
        let feedForward: Int
        let vocab: Int
        let widest: Int
        let upStride: Int
        let quantizedBytes: Int
        let sharedFloats: Int
        let biasRowCount: Int
        let tableUnitBytes: Int
        let scoreFloats: Int
        let perThreadBytes: Int
        package let total: Int

        package init(_ file: LeafFile, _ facts: ModelFacts, _ options: ExecutorOptions) {
            let (capacity, threads) = (options.room, options.threads)
            let rows = capacity.rows
            func widest(_ widths: some Sequence<Int>) -> Int { (widths.max() ?? 0).roundedUp(to: 64) }
            dModel = facts.dModel.roundedUp(to: 64)
            query = widest(facts.attentions.map { $0.queryHeads * $0.dimHead })
            key = widest(facts.attentions.map { $0.keyHeads * $0.dimHead })
            feedForward = facts.feedForwardWidth.roundedUp(to: 64)
            vocab = facts.vocabSize.roundedUp(to: 64)
            self.widest = max(dModel, query, feedForward, widest(file.matrices.map(\.columns)))
            let lent = options.borrowed.map { Self.largestUpPart($0.file, facts, threads: threads) }
            upStride = max(Self.largestUpPart(file, facts, threads: threads), lent ?? 0)
            quantizedBytes =
                file.matrices.contains { $0.layout.isQuantized }
                ? max(rows, capacity.logitRows) * leaf_activation_row_bytes(options.activations.kernelType, self.widest)
                : 0
            sharedFloats = rows * max(query + 2 * key, feedForward + upStride * threads)
            // A row looks at its own sequence alone.
            biasRowCount = rows * (capacity.longest + 16).roundedUp(to: 16)
            let table = file.matrices[facts.tokenTable]
            tableUnitBytes = table.layout.byteCount(outputs: table.layout.unitOutputs, columns: table.columns)
            scoreFloats =
                min(rows, Scratch.attentionRows) * (capacity.longest + 16).roundedUp(to: 16)
                + 16 * (facts.attentions.map(\.dimHead).max() ?? 0).roundedUp(to: 16)
            let widened =
                file.matrices.contains { $0.layout == .float16 } ? LinearProduct.widenedOutputs * self.widest : 0
            perThreadBytes = ((scoreFloats + widened) * 4).roundedUp(to: 64)
            total =
                2 * Arena.bytes(rows * dModel, of: Float.self)
                + Arena.bytes(dModel, of: Float.self)
                + Arena.bytes(rows * self.widest, of: Float.self)
                + Arena.bytes(quantizedBytes, of: UInt8.self)
                + Arena.bytes(sharedFloats, of: Float.self)
                + Arena.bytes(biasRowCount, of: UInt16.self)
                + Arena.bytes(capacity.logitRows * vocab, of: Float.self)
                + Arena.bytes(tableUnitBytes, of: UInt8.self)
                + Arena.bytes(perThreadBytes * threads, of: UInt8.self)
        }

        /// Outputs of the largest part of an up projection's chunk that one thread computes, padded.
        private static func largestUpPart(_ file: LeafFile, _ facts: ModelFacts, threads: Int) -> Int {
            let parts = facts.upProjections.flatMap { index in
                let matrix = file.matrices[index]
                return matrix.chunks.map { chunk in
                    let tiles = file.chunks[chunk].outputCount.roundedUp(to: 16) / 16
                    return TileClaims.step(of: tiles, threads: threads, matrix.layout) * 16
                }
            }
            return (parts.max() ?? 0).roundedUp(to: 64)
        }
    }
}

extension ActivationPrecision {
    var kernelType: leaf_activation { self == .int16 ? LEAF_ACTIVATION_INT16 : LEAF_ACTIVATION_INT8 }
}
