package import CPMAntShape
import LeafConversion
import LeafFormat
package import LeafSystem

/// Reads the weights of a model file as float32 with `1/sqrt(fan-in)` folded in, and verifies all that it reads.
package struct LeafRows {
    package let file: CPMAntFile
    private let stored: StoredModel
    private let kernels: WeightKernels
    private let slot: PageMemory
    private let floats: PageMemory
    /// Of one tile of codes.
    private let decoded: PageMemory

    package init(_ file: CPMAntFile, _ kernels: WeightKernels) throws(LeafError) {
        self.file = file
        stored = try StoredModel(file.leaf)
        self.kernels = kernels
        let leaf = file.leaf
        slot = try PageMemory(count: stored.slotBytes)
        let most = leaf.chunks.map { leaf.matrices[$0.matrix].columns * $0.outputCount }.max() ?? 0
        floats = try PageMemory(count: most * MemoryLayout<Float>.size)
        let coded = leaf.matrices.filter(\.layout.isCoded).map(\.storedColumns).max() ?? 0
        decoded = try PageMemory(count: WeightTile.outputs * coded)
    }

    /// Calls `use` with the outputs of one chunk after another, without padding.
    ///
    /// - Throws: as `StoredModel`.
    package func forEachChunk(
        ofMatrix name: String, _ use: (Range<Int>, UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        let leaf = file.leaf
        guard let matrix = leaf.matrices.first(where: { $0.name == name }) else {
            throw LeafError(.badInput, "\(file.path) has no matrix \(name)")
        }
        let scales = matrix.layout.scales == .resident ? try resident(FileShape.scaleName(of: name)) : []
        for index in matrix.chunks {
            let chunk = leaf.chunks[index]
            let bytes = try stored.bytes(ofChunk: index, slot: slot.bytes)
            let rows = chunk.firstOutput..<min(chunk.firstOutput + chunk.outputCount, matrix.outputs)
            let target = floats.bytes.assumingMemoryBound(to: Float.self)
            switch matrix.layout {
            case .int8, .q4, .q3:
                dequantize(bytes, matrix, rows, scales, target.baseAddress!)
            case .float16, .float32:
                widen(
                    bytes.baseAddress!, rows.count * matrix.columns, matrix.layout, matrix.shape.scale,
                    target.baseAddress!)
            }
            try use(rows, UnsafeBufferPointer(rebasing: UnsafeBufferPointer(target)[0..<rows.count * matrix.columns]))
        }
    }

    /// A resident float32 tensor.
    package func resident(_ name: String) throws(LeafError) -> [Float] { try stored.floats(of: name) }

    /// The soft prompts, `[promptRows, dimModel]`.
    package func promptRows() throws(LeafError) -> [Float] {
        let dimModel = file.configuration.dimModel
        let bytes = try bytes(of: TensorName.promptEmbedding)
        var floats = [Float](repeating: 0, count: file.configuration.promptRows * dimModel)
        let layout = file.weights.tableLayout
        if layout.scales == .resident {
            let scales = try resident(TensorName.promptScale)
            for index in floats.indices {
                floats[index] = Float(Int8(bitPattern: bytes[index])) * scales[index / dimModel]
            }
        } else {
            let scale = file.configuration.fanInScale(columns: dimModel)
            bytes.withUnsafeBytes { widen($0.baseAddress!, floats.count, layout, scale, &floats) }
        }
        return floats
    }

    /// A tensor outside of the blocks, as it is stored.
    package func bytes(of name: String) throws(LeafError) -> [UInt8] { try stored.bytes(of: name) }

    private func widen(
        _ source: UnsafeRawPointer, _ count: Int, _ layout: WeightLayout, _ scale: FanInScale,
        _ target: UnsafeMutablePointer<Float>
    ) {
        if layout == .float16 {
            kernels.widenHalves(source.assumingMemoryBound(to: UInt16.self), count: count, to: target)
        } else {
            target.update(from: source.assumingMemoryBound(to: Float.self), count: count)
        }
        guard scale != .folded else { return }
        for index in 0..<count { target[index] = Float(Double(target[index]) / scale.divisor) }
    }

    /// Converts tiles to rows of floats.
    private func dequantize(
        _ bytes: UnsafeRawBufferPointer, _ matrix: Matrix, _ rows: Range<Int>, _ scales: [Float],
        _ target: UnsafeMutablePointer<Float>
    ) {
        let tileBytes = matrix.layout.byteCount(outputs: WeightTile.outputs, columns: matrix.columns)
        for first in stride(from: 0, to: rows.count, by: WeightTile.outputs) {
            let values = int8Tile(bytes.baseAddress! + first / WeightTile.outputs * tileBytes, matrix)
            for index in first..<min(first + WeightTile.outputs, rows.count) {
                let scale = scales[rows.lowerBound + index]
                for column in 0..<matrix.columns {
                    let value = values[WeightTile.offset(output: index - first, column: column)]
                    target[index * matrix.columns + column] = Float(value) * scale
                }
            }
        }
    }

    /// The int8 numbers of a stored tile, valid until the next.
    private func int8Tile(_ tile: UnsafeRawPointer, _ matrix: Matrix) -> UnsafePointer<Int8> {
        guard matrix.layout.isCoded else { return tile.assumingMemoryBound(to: Int8.self) }
        let values = decoded.bytes.assumingMemoryBound(to: Int8.self).baseAddress!
        kernels.codec.load(tile, of: matrix.layout, columns: matrix.columns, to: values)
        return UnsafePointer(values)
    }
}
