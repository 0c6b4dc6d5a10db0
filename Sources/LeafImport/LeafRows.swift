package import LeafFormat

/// The weights of a model file as float32 rows with `1/sqrt(fan-in)` folded in, every chunk verified.
package struct LeafRows {
    package let file: LeafFile
    private let input: InputFile
    private let kernels: WeightKernels
    private let slot: AlignedBuffer
    private let floats: AlignedBuffer

    package init(_ file: LeafFile, _ kernels: WeightKernels) throws(LeafError) {
        self.file = file
        input = try InputFile(path: file.path)
        self.kernels = kernels
        slot = try AlignedBuffer(count: file.chunks.map(\.slotBytes).max() ?? 0)
        let most = file.chunks.map { file.matrices[$0.matrix].columns * $0.rowCount }.max() ?? 0
        floats = try AlignedBuffer(count: most * MemoryLayout<Float>.size)
    }

    /// Calls `use` with the rows of one chunk after the other; rows of padding are left out.
    ///
    /// - Throws: `.badInput` naming the block that fails its checksum, `.io` when reading fails.
    package func forEachChunk(
        ofMatrix name: String, _ use: (Range<Int>, UnsafeBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        guard let matrix = file.matrices.first(where: { $0.name == name }) else {
            throw LeafError(.badInput, "\(file.path) has no matrix \(name)")
        }
        let scales = file.weights == .int8 ? try resident(TensorName.scale(of: name)) : []
        let factor = divisor(columns: matrix.columns)
        for index in matrix.chunks {
            let chunk = file.chunks[index]
            let place = slot.bytes[chunk.storedAt..<chunk.slotBytes]
            try input.read(at: chunk.offset, into: UnsafeMutableRawBufferPointer(rebasing: place))
            let bytes = try file.verifyAndUnpack(index, in: slot.bytes)
            let rows = chunk.firstRow..<min(chunk.firstRow + chunk.rowCount, matrix.rows)
            let target = floats.bytes.assumingMemoryBound(to: Float.self)
            switch file.weights {
            case .int8:
                dequantize(bytes, matrix, rows, scales, target.baseAddress!)
            case .float16, .float32:
                widen(bytes.baseAddress!, rows.count * matrix.columns, factor, target.baseAddress!)
            }
            try use(rows, UnsafeBufferPointer(rebasing: UnsafeBufferPointer(target)[0..<rows.count * matrix.columns]))
        }
    }

    /// A resident float32 tensor.
    package func resident(_ name: String) throws(LeafError) -> [Float] {
        let bytes = try bytes(of: name)
        return [Float](unsafeUninitializedCapacity: bytes.count / 4) { floats, count in
            UnsafeMutableRawBufferPointer(floats).copyBytes(from: bytes)
            count = bytes.count / 4
        }
    }

    /// The soft prompts, `[promptRows, dimModel]`.
    package func promptRows() throws(LeafError) -> [Float] {
        let dimModel = file.configuration.dimModel
        let bytes = try bytes(of: TensorName.promptEmbedding)
        var floats = [Float](repeating: 0, count: file.configuration.promptRows * dimModel)
        if file.weights == .int8 {
            let scales = try resident(TensorName.promptScale)
            for index in floats.indices {
                floats[index] = Float(Int8(bitPattern: bytes[index])) * scales[index / dimModel]
            }
        } else {
            bytes.withUnsafeBytes { widen($0.baseAddress!, floats.count, divisor(columns: dimModel), &floats) }
        }
        return floats
    }

    /// A tensor outside the blocks, as it is stored.
    package func bytes(of name: String) throws(LeafError) -> [UInt8] {
        guard let tensor = file.tensor(name) else { throw LeafError(.badInput, "\(file.path) has no tensor \(name)") }
        return try input.bytes(at: tensor.offset, count: tensor.byteCount)
    }

    /// What float weights are divided by, nil for nothing.
    private func divisor(columns: Int) -> Double? {
        file.configuration.isScaleFolded ? nil : Double(columns).squareRoot()
    }

    private func widen(
        _ source: UnsafeRawPointer, _ count: Int, _ divisor: Double?, _ target: UnsafeMutablePointer<Float>
    ) {
        if file.weights == .float16 {
            kernels.widenHalves(source.assumingMemoryBound(to: UInt16.self), count: count, to: target)
        } else {
            target.update(from: source.assumingMemoryBound(to: Float.self), count: count)
        }
        guard let divisor else { return }
        for index in 0..<count { target[index] = Float(Double(target[index]) / divisor) }
    }

    /// Tiles `[rows / 16][paddedColumns / 4][16][4]` to rows.
    private func dequantize(
        _ bytes: UnsafeRawBufferPointer, _ matrix: Matrix, _ rows: Range<Int>, _ scales: [Float],
        _ target: UnsafeMutablePointer<Float>
    ) {
        let values = bytes.bindMemory(to: Int8.self)
        for (index, row) in rows.enumerated() {
            let tile = index / 16 * 16 * matrix.paddedColumns
            let scale = scales[row]
            for column in 0..<matrix.columns {
                let place = tile + column / 4 * 64 + index % 16 * 4 + column % 4
                target[index * matrix.columns + column] = Float(values[place]) * scale
            }
        }
    }
}
