/// What a configuration asks for: blocks in sweep order, their matrices, and the tensors that stay in memory.
public struct ModelShape: Sendable {
    public struct MatrixShape: Sendable, Equatable {
        public let name: String
        public let rows: Int
        public let columns: Int
    }

    public struct BlockShape: Sendable, Equatable {
        public let kind: Block.Kind
        public let matrices: [MatrixShape]
    }

    /// Layer 0 attention, layer 0 feed-forward, ..., the token table.
    public let blocks: [BlockShape]
    private let configuration: ModelConfiguration

    /// - Parameter configuration: within its limits.
    public init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
        let dimModel = configuration.dimModel
        var blocks: [BlockShape] = []
        for (index, layer) in configuration.layers.enumerated() {
            if layer.hasAttention {
                let attention = configuration.dimAttention(ofLayer: index)
                let names = TensorName.attentionMatrices(layer: index)
                let inputs = names[0..<3].map { MatrixShape(name: $0, rows: attention, columns: dimModel) }
                let output = MatrixShape(name: names[3], rows: dimModel, columns: attention)
                blocks.append(BlockShape(kind: .attention(layer: index), matrices: inputs + [output]))
            }
            if layer.hasFeedForward {
                let dimFF = configuration.dimFF(ofLayer: index)
                let names = TensorName.feedForwardMatrices(layer: index)
                let inputs = names[0..<2].map { MatrixShape(name: $0, rows: dimFF, columns: dimModel) }
                let output = MatrixShape(name: names[2], rows: dimModel, columns: dimFF)
                blocks.append(BlockShape(kind: .feedForward(layer: index), matrices: inputs + [output]))
            }
        }
        let table = MatrixShape(name: TensorName.tokenTable, rows: configuration.vocabSize, columns: dimModel)
        blocks.append(BlockShape(kind: .tokenTable, matrices: [table]))
        self.blocks = blocks
    }

    public var matrices: [MatrixShape] { blocks.flatMap(\.matrices) }

    /// Weights of the model, each counted once.
    public var parameterCount: Int {
        let resident = residentTensors(weights: .float32).reduce(0) { $0 + $1.shape.reduce(1, *) }
        return matrices.reduce(resident) { $0 + $1.rows * $1.columns }
    }

    /// The tensors of the resident region, in file order: name, type, shape.
    package func residentTensors(
        weights: WeightFormat
    ) -> [(name: String, type: TensorEntry.ElementType, shape: [Int])] {
        let dimModel = configuration.dimModel
        var tensors: [(name: String, type: TensorEntry.ElementType, shape: [Int])] = []
        for (index, layer) in configuration.layers.enumerated() {
            if layer.hasAttention { tensors.append((TensorName.attentionNorm(layer: index), .f32, [dimModel])) }
            if layer.hasFeedForward { tensors.append((TensorName.feedForwardNorm(layer: index), .f32, [dimModel])) }
        }
        tensors.append((TensorName.outputNorm, .f32, [dimModel]))
        tensors.append((TensorName.positionBias, .f32, [configuration.positionBiasRows, configuration.numHeads]))
        tensors.append((TensorName.segmentEmbedding, .f32, [configuration.segmentTypes, dimModel]))
        tensors.append((TensorName.promptEmbedding, weights.elementType, [configuration.promptRows, dimModel]))
        if weights == .int8 {
            tensors.append((TensorName.promptScale, .f32, [configuration.promptRows]))
            for matrix in matrices {
                tensors.append((TensorName.scale(of: matrix.name), .f32, [matrix.rows.roundedUp(to: 16)]))
            }
        }
        return tensors
    }
}

extension WeightFormat {
    package var elementType: TensorEntry.ElementType {
        switch self {
        case .int8: .i8
        case .float16: .f16
        case .float32: .f32
        }
    }
}

/// How the rows of one matrix lie in its chunks.
package struct ChunkGeometry: Sendable, Equatable {
    /// The largest chunk that a reader takes, unpacked.
    package static let maximumBytes = 4 << 20
    /// What the writer cuts to, at most: a huge page, of which several stay in the processor's caches while they are read,
    /// computed with, and filled again.
    package static let usualBytes = 2 << 20
    /// What a chunk, a region and the data start at a multiple of.
    package static let alignment = 4096

    /// Rows that are never parted: a tile or a row.
    package let unitRows: Int
    package let unitBytes: Int
    /// All rows, those of padding included.
    package let storedRows: Int
    /// Rows of every chunk but the last.
    package let chunkRows: Int
    /// Whether raw chunks lie without a gap, so that the matrix is one tensor.
    package let isSeamless: Bool
    /// Of one stored element row or tile.
    private let weights: WeightFormat
    private let columns: Int

    /// - Parameters: rows and columns of the matrix, within the limits of a configuration.
    package init(rows: Int, columns: Int, weights: WeightFormat) {
        self.weights = weights
        self.columns = weights == .int8 ? columns.roundedUp(to: 64) : columns
        unitRows = weights == .int8 ? 16 : 1
        unitBytes = unitRows * self.columns * weights.elementBytes
        storedRows = rows.roundedUp(to: unitRows)
        let units = storedRows / unitRows
        let most = Self.usualBytes / unitBytes
        // As many units as end at a multiple of 4096: 4096 / gcd(4096, unitBytes), a power of two.
        let step = Self.alignment >> min(unitBytes.trailingZeroBitCount, Self.alignment.trailingZeroBitCount)
        if units <= most {
            chunkRows = storedRows
            isSeamless = true
        } else {
            isSeamless = most >= step
            chunkRows = (isSeamless ? most / step * step : most) * unitRows
        }
    }

    package var chunkCount: Int { (storedRows + chunkRows - 1) / chunkRows }

    package func rows(ofChunk index: Int) -> Range<Int> {
        index * chunkRows..<min((index + 1) * chunkRows, storedRows)
    }

    package func bytes(rows: Int) -> Int { rows / unitRows * unitBytes }

    /// The tensor shape of that many stored rows.
    package func shape(rows: Int) -> [Int] {
        weights == .int8 ? [rows / 16, columns / 4, 16, 4] : [rows, columns]
    }
}
