import CPMAntShape
import LeafConversion
import LeafFormat
import LeafSystem

/// Puts the numbers of a small model in a large one, so that the large one computes exactly the same.
///
/// The small model's dimensions, heads, neurons and layers come first. Beyond its dimensions the residual stream is
/// zero, so the weights of those columns may be anything. Only weights that would add something to the stream must be
/// zero. See Documentation/enlargement.md.
struct Enlargement: Sendable {
    let small: SmallModel
    /// The configuration of the large model.
    let configuration: ModelConfiguration
    /// For each block of the large model, the block of the small one that it takes; nil if the small model has none for
    /// it.
    let smallBlocks: [Int?]
    /// The square root of the ratio of the widths, a power of two. Norms give values larger by this factor in the large
    /// model, so their weights are divided by it.
    let root: Float
    private let corners: [Corner]

    /// The first outputs and columns of a matrix, which the small model's activations use.
    struct Corner: Sendable, Equatable {
        /// Index into the small model's matrices; nil in a block that the small model lacks.
        var matrix: Int?
        /// The columns whose inputs may differ from zero.
        var columns: Int
        /// Whether the outputs after the small model's must give zero.
        var endsInZeros: Bool
        /// Whether the columns after these must be zero too, because the token table's rows are also embeddings.
        var isAlone: Bool
    }

    /// The group of activation columns that share a scale. Each group belongs to the small model or is free.
    private static let groupColumns = 128
    /// With a smaller `eps`, a mean square could lose bits that `eps` does not hide.
    private static let smallestEps: Float = 0x1p-90

    /// - Throws: `.usage` with the reason why this small model does not fit into a model of that shape.
    init(_ small: SmallModel, in target: ModelConfiguration) throws(LeafError) {
        self.small = small
        let inner = small.file.configuration
        func refuse(_ reason: String) -> LeafError {
            LeafError(.usage, "\(small.file.path) cannot be enlarged exactly: \(reason)")
        }
        if let reason = Self.reason(against: small, in: target) { throw refuse(reason) }
        let ratio = Float(target.dimModel / inner.dimModel)

        var configuration = target
        configuration.vocabSize = inner.vocabSize
        configuration.dimHead = inner.dimHead
        configuration.numHeads = target.dimAttention / inner.dimHead
        configuration.eps = inner.eps / ratio
        configuration.isScaleFolded = true
        self.configuration = configuration
        root = ratio.squareRoot()

        let kinds = ModelShape(configuration, weights: small.file.weights).kinds
        let smallKinds = small.file.shape.kinds
        var smallBlocks: [Int?] = []
        var next = 0
        for kind in kinds {
            let takesOver = next < smallKinds.count && kind.isLike(smallKinds[next])
            smallBlocks.append(takesOver ? next : nil)
            if takesOver { next += 1 }
        }
        guard next == smallKinds.count else {
            throw refuse("it has more layers than the large model, or other ones")
        }
        self.smallBlocks = smallBlocks
        corners = zip(kinds, smallBlocks).flatMap { kind, smallBlock in
            Self.corners(kind, smallBlock.map { small.file.leaf.blocks[$0].matrices.lowerBound }, inner)
        }
    }

    /// Why a small model does not fit into a model of that shape; nil if it does.
    private static func reason(against small: SmallModel, in target: ModelConfiguration) -> String? {
        let inner = small.file.configuration
        guard small.file.weights.isQuantized else {
            return "its weights are \(small.file.weights.rawValue), whose sums have no fixed order; convert to int8"
        }
        guard inner.isUniform else { return "its layers have sizes of their own" }
        for (name, size) in [
            ("dim_model", inner.dimModel), ("num_heads * dim_head", inner.dimAttention), ("dim_ff", inner.dimFF),
        ] where size % groupColumns != 0 {
            return "its \(name) is \(size), no multiple of the \(groupColumns) columns that share a scale"
        }
        let ratio = target.dimModel / inner.dimModel
        guard ratio > 0, target.dimModel % inner.dimModel == 0, ratio.nonzeroBitCount == 1,
            ratio.trailingZeroBitCount % 2 == 0
        else {
            return "\(target.dimModel) is not its dim_model of \(inner.dimModel) times a power of 4"
        }
        for (name, size, wanted) in [
            ("position_bias_num_buckets", inner.positionBiasNumBuckets, target.positionBiasNumBuckets),
            ("position_bias_max_distance", inner.positionBiasMaxDistance, target.positionBiasMaxDistance),
            ("prompt_types", inner.promptTypes, target.promptTypes),
            ("prompt_length", inner.promptLength, target.promptLength),
            ("segment_types", inner.segmentTypes, target.segmentTypes), ("own_head", inner.hasOwnHead ? 1 : 0, 0),
        ] where size != wanted {
            return "its \(name) is \(size), the large model's \(wanted)"
        }
        for (name, size, most) in [
            ("num_heads * dim_head", inner.dimAttention, target.dimAttention), ("dim_ff", inner.dimFF, target.dimFF),
            ("vocab_size", inner.vocabSize, target.vocabSize),
        ] where size > most {
            return "its \(name) is \(size), the large model's only \(most)"
        }
        guard target.dimAttention % inner.dimHead == 0 else {
            return "its heads of \(inner.dimHead) do not divide the large model's \(target.dimAttention) columns"
        }
        guard inner.eps / Float(ratio) >= smallestEps else {
            return "its eps of \(inner.eps) is too small to be divided by \(ratio)"
        }
        return nil
    }

    /// The corners of a block's matrices.
    ///
    /// - Parameter first: the first matrix of the small model's block; nil if it has none.
    private static func corners(
        _ kind: ModelShape.BlockKind, _ first: Int?, _ small: ModelConfiguration
    ) -> [Corner] {
        func corner(_ ordinal: Int, _ columns: Int, endsInZeros: Bool, isAlone: Bool = false) -> Corner {
            Corner(matrix: first.map { $0 + ordinal }, columns: columns, endsInZeros: endsInZeros, isAlone: isAlone)
        }
        // In a block that the small model lacks, values and up projection give zeros, so the output matrix has nothing
        // to add.
        let outputEndsInZeros = first != nil
        switch kind {
        case .attention:
            return [
                corner(0, small.dimModel, endsInZeros: false), corner(1, small.dimModel, endsInZeros: false),
                corner(2, small.dimModel, endsInZeros: true),
                corner(3, small.dimAttention, endsInZeros: outputEndsInZeros),
            ]
        case .feedForward:
            return [
                corner(0, small.dimModel, endsInZeros: false), corner(1, small.dimModel, endsInZeros: true),
                corner(2, small.dimFF, endsInZeros: outputEndsInZeros),
            ]
        case .head, .tokenTable:
            return [corner(0, small.dimModel, endsInZeros: true, isAlone: true)]
        }
    }

    /// Writes the small model's tiles and scales, and the zeros, over the random outputs of a job.
    ///
    /// - Parameter layout: of the matrix in both models.
    func put(_ job: ChunkJob, _ layout: WeightLayout, in slot: ChunkSlot) throws(LeafError) {
        let corner = corners[job.matrix]
        let tileBytes = job.byteCount / (job.rows.count / WeightTile.outputs)
        let cornerBytes = layout.byteCount(outputs: WeightTile.outputs, columns: corner.columns)
        func tile(_ row: Int) -> UnsafeMutableRawBufferPointer {
            let start = (row - job.rows.lowerBound) / WeightTile.outputs * tileBytes
            return UnsafeMutableRawBufferPointer(rebasing: slot.bytes.bytes[start..<start + tileBytes])
        }
        // Columns follow one another in a tile, so the corner is the beginning of the tile. Zero bytes are zeros.
        func clear(_ bytes: Slice<UnsafeMutableRawBufferPointer>) {
            UnsafeMutableRawBufferPointer(rebasing: bytes).initializeMemory(as: UInt8.self, repeating: 0)
        }
        let storedOutputs = corner.matrix.map { small.file.leaf.matrices[$0].storedOutputs } ?? 0
        let taken = job.rows.clamped(to: 0..<storedOutputs)
        if let matrix = corner.matrix, !taken.isEmpty {
            let chunk = try PageMemory(count: small.stored.slotBytes)
            try small.stored.forEachUnit(ofMatrix: matrix, outputs: taken, slot: chunk.bytes) { row, bytes in
                tile(row).copyMemory(from: bytes)
            }
            let scales = try small.stored.floats(of: FileShape.scaleName(of: small.file.leaf.matrices[matrix].name))
            for row in taken { slot.rowScales[row - job.rows.lowerBound] = scales[row] }
        }
        for row in stride(from: job.rows.lowerBound, to: job.rows.upperBound, by: WeightTile.outputs) {
            if corner.endsInZeros, row >= storedOutputs { clear(tile(row)[..<cornerBytes]) }
            if corner.isAlone { clear(tile(row)[cornerBytes...]) }
        }
    }
}

extension ModelShape.BlockKind {
    /// Whether both are the same half of a layer, of any layer, or both are the token table.
    fileprivate func isLike(_ other: Self) -> Bool {
        switch (self, other) {
        case (.attention, .attention), (.feedForward, .feedForward), (.tokenTable, .tokenTable): true
        default: false
        }
    }
}
