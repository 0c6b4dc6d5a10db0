import CLeafKernels
import LeafFormat

/// Every buffer of the forward pass, named once, allocated once. R rows, L logit rows, D dimModel, A dimAttention,
/// F dimFF; widths are padded to 64 numbers, so that each row is aligned and ends in zeros.
final class Scratch {
    let dModelStride: Int
    let attentionStride: Int
    let feedForwardStride: Int
    let vocabStride: Int
    let bucketCapacity: Int

    /// `[R, D]` the residual stream.
    let hiddenStates: UnsafeMutablePointer<Float>
    /// `[R, widest]` what a linear layer reads: normalized rows, attention output, gated rows.
    let linearInput: UnsafeMutablePointer<Float>
    /// `[R]` quantized rows, one behind the other; beside int8 weights only.
    let quantizedRows: UnsafeMutableRawPointer
    /// `[R, D]` what a half layer adds.
    let delta: UnsafeMutablePointer<Float>
    /// `[R, A]` each; they share their memory with `gate` and `up`.
    let queries: UnsafeMutablePointer<Float>
    let keys: UnsafeMutablePointer<Float>
    let values: UnsafeMutablePointer<Float>
    /// `[R, F]`
    let gate: UnsafeMutablePointer<Float>
    /// `[R, partRows]` for each thread: its part of one chunk of the up projection.
    private let up: UnsafeMutablePointer<Float>
    private let upStride: Int
    private let rows: Int
    /// Rows of the bias table for each query and cached position, `LEAF_MASKED` where the query must not look.
    let buckets: UnsafeMutablePointer<UInt16>
    /// `[L, vocab]`
    let logits: UnsafeMutablePointer<Float>
    /// One stored tile or row of the token table.
    let tableRow: UnsafeMutableRawPointer
    /// A thread's own: attention scores, and float weights on their way to sgemm.
    private let perThread: UnsafeMutableRawPointer
    private let perThreadBytes: Int
    private let scoreFloats: Int

    private let arena: Arena

    init(_ file: LeafFile, _ capacity: ForwardCapacity, _ activations: ActivationPrecision) throws(LeafError) {
        let sizes = Sizes(file, capacity, activations)
        arena = try Arena(byteCount: sizes.total)
        dModelStride = sizes.dModelStride
        attentionStride = sizes.attentionStride
        feedForwardStride = sizes.feedForwardStride
        vocabStride = sizes.vocabStride
        upStride = sizes.upStride
        bucketCapacity = sizes.bucketCount
        rows = capacity.rows
        hiddenStates = arena.take(rows * dModelStride, of: Float.self)
        linearInput = arena.take(rows * sizes.widestStride, of: Float.self)
        quantizedRows = UnsafeMutableRawPointer(arena.take(sizes.quantizedBytes, of: UInt8.self))
        delta = arena.take(rows * dModelStride, of: Float.self)
        // Attention and feed-forward never live at the same time.
        let shared = arena.take(sizes.sharedFloats, of: Float.self)
        queries = shared
        keys = shared + rows * attentionStride
        values = keys + rows * attentionStride
        gate = shared
        up = shared + rows * feedForwardStride
        buckets = arena.take(bucketCapacity, of: UInt16.self)
        logits = arena.take(capacity.logitRows * vocabStride, of: Float.self)
        tableRow = UnsafeMutableRawPointer(arena.take(sizes.tableRowBytes, of: UInt8.self))
        perThreadBytes = sizes.perThreadBytes
        scoreFloats = sizes.scoreFloats
        perThread = UnsafeMutableRawPointer(arena.take(perThreadBytes * capacity.threads, of: UInt8.self))
    }

    /// Query rows that one call of the attention kernel takes at most: it widens each page of the cache once for them.
    static let attentionRows = 48
    /// Rows of a float16 matrix that are widened at a time.
    static let widenedRows = 32

    func scores(thread: Int) -> UnsafeMutablePointer<Float> {
        (perThread + thread * perThreadBytes).assumingMemoryBound(to: Float.self)
    }

    /// Queries, keys, values.
    func projection(_ index: Int) -> UnsafeMutablePointer<Float> { queries + index * rows * attentionStride }

    func up(thread: Int) -> (start: UnsafeMutablePointer<Float>, stride: Int) {
        (up + thread * rows * upStride, upStride)
    }

    func widenedWeights(thread: Int) -> UnsafeMutablePointer<Float> {
        scores(thread: thread) + scoreFloats
    }

    /// What each buffer takes; the plan and the allocation read the same numbers.
    struct Sizes {
        let dModelStride: Int
        let attentionStride: Int
        let feedForwardStride: Int
        let vocabStride: Int
        let widestStride: Int
        let upStride: Int
        let quantizedBytes: Int
        let sharedFloats: Int
        let bucketCount: Int
        let tableRowBytes: Int
        let scoreFloats: Int
        let perThreadBytes: Int
        let total: Int

        init(_ file: LeafFile, _ capacity: ForwardCapacity, _ activations: ActivationPrecision) {
            let configuration = file.configuration
            let rows = capacity.rows
            dModelStride = configuration.dimModel.roundedUp(to: 64)
            attentionStride = configuration.dimAttention.roundedUp(to: 64)
            feedForwardStride = configuration.dimFF.roundedUp(to: 64)
            vocabStride = configuration.vocabSize.roundedUp(to: 64)
            widestStride = max(dModelStride, attentionStride, feedForwardStride)
            upStride = Self.largestUpPart(file, threads: capacity.threads)
            let isQuantized = file.weights == .int8
            quantizedBytes =
                isQuantized
                ? max(rows, capacity.logitRows)
                    * leaf_activation_row_bytes(activations.kernelType, widestStride) : 0
            sharedFloats = rows * max(3 * attentionStride, feedForwardStride + upStride * capacity.threads)
            bucketCount = rows * (capacity.positions + 16 * capacity.sequences).roundedUp(to: 16)
            tableRowBytes = isQuantized ? 16 * dModelStride : dModelStride * file.weights.elementBytes
            scoreFloats =
                min(rows, Scratch.attentionRows) * (capacity.positions + 16).roundedUp(to: 16)
                + 16 * configuration.dimHead.roundedUp(to: 16)
            let widened = file.weights == .float16 ? Scratch.widenedRows * widestStride : 0
            perThreadBytes = ((scoreFloats + widened) * 4).roundedUp(to: 64)
            total =
                2 * Arena.bytes(rows * dModelStride, of: Float.self)
                + Arena.bytes(rows * widestStride, of: Float.self)
                + Arena.bytes(quantizedBytes, of: UInt8.self)
                + Arena.bytes(sharedFloats, of: Float.self)
                + Arena.bytes(bucketCount, of: UInt16.self)
                + Arena.bytes(capacity.logitRows * vocabStride, of: Float.self)
                + Arena.bytes(tableRowBytes, of: UInt8.self)
                + Arena.bytes(perThreadBytes * capacity.threads, of: UInt8.self)
        }

        /// Rows of the largest part of an up projection's chunk that one thread computes, padded.
        private static func largestUpPart(_ file: LeafFile, threads: Int) -> Int {
            var largest = 0
            for block in file.blocks {
                guard case .feedForward = block.kind else { continue }
                for chunk in file.matrices[block.matrices.lowerBound + 1].chunks {
                    largest = max(largest, file.chunks[chunk].rowCount)
                }
            }
            let step = TileClaims.step(of: largest.roundedUp(to: 16) / 16, threads: threads, file.weights)
            return (step * 16).roundedUp(to: 64)
        }
    }
}

extension ActivationPrecision {
    var kernelType: leaf_activation { self == .int16 ? LEAF_ACTIVATION_INT16 : LEAF_ACTIVATION_INT8 }
}
