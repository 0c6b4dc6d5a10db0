import CPMAntShape
import LeafConversion
import LeafFormat
import LeafSystem

/// The tensors outside of the blocks: norms, position bias, segment and soft-prompt tables.
struct ResidentSource {
    private let shape: ModelShape
    private let configuration: ModelConfiguration
    private let weights: WeightFormat
    private let seed: UInt64
    private let normal: NormalDistribution
    private let matrices: MatrixSource
    private let enlargement: Enlargement?

    /// The deviation of norm weights, around 1.
    private static let normDeviation: Float = 0.1

    init(
        _ shape: ModelShape, weights: WeightFormat, seed: UInt64, normal: NormalDistribution, matrices: MatrixSource,
        enlargement: Enlargement?
    ) {
        self.shape = shape
        configuration = shape.configuration
        self.weights = weights
        self.seed = seed
        self.normal = normal
        self.matrices = matrices
        self.enlargement = enlargement
    }

    func write(to writer: LeafWriter) throws(LeafError) {
        for (index, kind) in shape.kinds.enumerated() {
            let name = Self.norm(of: kind)
            var small: String?
            if let enlargement, let block = enlargement.smallBlocks[index] {
                small = Self.norm(of: enlargement.small.file.shape.kinds[block])
            }
            try writer.write(name, norm(name, small))
        }
        try writer.write(TensorName.positionBias, positionBias())
        try writer.write(TensorName.segmentEmbedding, segments())
        try writePrompts(to: writer)
    }

    /// The norm whose result is a block's input.
    private static func norm(of kind: ModelShape.BlockKind) -> String {
        switch kind {
        case .attention(let layer): TensorName.attentionNorm(layer: layer)
        case .feedForward(let layer): TensorName.feedForwardNorm(layer: layer)
        case .head, .tokenTable: TensorName.outputNorm
        }
    }

    private func normals(_ name: String, row: Int = 0, _ count: Int) -> [Float] {
        var random = RandomStream(seed: seed, tensor: RandomStream.number(of: name), index: row)
        return random.normals(count, normal)
    }

    /// - Parameter small: the name of the small model's norm, whose numbers come first.
    private func norm(_ name: String, _ small: String?) throws(LeafError) -> [Float] {
        var weights = normals(name, configuration.dimModel).map { 1 + Self.normDeviation * $0 }
        guard let enlargement, let small else { return weights }
        for (column, weight) in try enlargement.small.stored.floats(of: small).enumerated() {
            weights[column] = weight / enlargement.root
            guard weights[column] * enlargement.root == weight else {
                throw LeafError(
                    .usage,
                    "\(enlargement.small.file.path) cannot be enlarged exactly: \(small) holds \(weight), "
                        + "which is too small to be divided by \(enlargement.root)")
            }
        }
        return weights
    }

    /// `[positionBiasRows, numHeads]`; the small model's heads come first in each row.
    private func positionBias() throws(LeafError) -> [Float] {
        let heads = configuration.numHeads
        var table = normals(TensorName.positionBias, configuration.positionBiasRows * heads)
        guard let small = enlargement?.small else { return table }
        let smallHeads = small.file.configuration.numHeads
        for (index, bias) in try small.stored.floats(of: TensorName.positionBias).enumerated() {
            table[index / smallHeads * heads + index % smallHeads] = bias
        }
        return table
    }

    /// `[segmentTypes, dimModel]`, with `1/sqrt(dimModel)` folded in.
    private func segments() throws(LeafError) -> [Float] {
        let columns = configuration.dimModel
        guard let small = enlargement?.small else {
            let deviation = MatrixSource.embeddingDeviation / Float(columns).squareRoot()
            return normals(TensorName.segmentEmbedding, configuration.segmentTypes * columns).map { deviation * $0 }
        }
        return Self.widened(
            try small.stored.floats(of: TensorName.segmentEmbedding), from: small.file.configuration.dimModel,
            to: columns)
    }

    private func writePrompts(to writer: LeafWriter) throws(LeafError) {
        let name = TensorName.promptEmbedding
        let columns = configuration.dimModel
        if let small = enlargement?.small {
            let rows = Self.widened(
                try small.stored.bytes(of: name), from: small.file.configuration.dimModel, to: columns)
            try writer.write(name, rows)
            try writer.write(TensorName.promptScale, try small.stored.floats(of: TensorName.promptScale))
            return
        }
        let table = weights.isQuantized ? normal.quantized(columns: columns) : []
        var scales: [Float] = []
        for row in 0..<configuration.promptRows {
            let layout = weights.tableLayout
            let offset = row * columns * layout.elementType.byteCount
            switch layout {
            case .int8, .q4, .q3:
                var random = RandomStream(seed: seed, tensor: RandomStream.number(of: name), index: row)
                let spread = random.normals(1, normal)[0]
                scales.append(
                    matrices.scale(deviation: MatrixSource.embeddingDeviation, spread: spread, columns: columns))
                try writer.write(name, random.numbers(columns, from: table), at: offset)
            case .float16:
                let halves = normals(name, row: row, columns).map { Float16(MatrixSource.embeddingDeviation * $0) }
                try writer.write(name, halves, at: offset)
            case .float32:
                let floats = normals(name, row: row, columns).map { MatrixSource.embeddingDeviation * $0 }
                try writer.write(name, floats, at: offset)
            }
        }
        if weights.isQuantized { try writer.write(TensorName.promptScale, scales) }
    }

    /// Widens rows of `columns` numbers to `wide` numbers, with zeros at the end.
    private static func widened<Number: Numeric>(_ rows: [Number], from columns: Int, to wide: Int) -> [Number] {
        var result = [Number](repeating: 0, count: rows.count / columns * wide)
        for (index, number) in rows.enumerated() { result[index / columns * wide + index % columns] = number }
        return result
    }
}

extension LeafWriter {
    fileprivate func write<Number>(_ name: String, _ numbers: [Number], at offset: Int = 0) throws(LeafError) {
        try numbers.withUnsafeBufferPointer { (numbers) throws(LeafError) in
            try write(name, UnsafeRawBufferPointer(numbers), at: offset)
        }
    }
}
