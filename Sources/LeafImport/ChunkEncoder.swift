import LeafFormat
import LeafSystem

/// Encodes outputs of a checkpoint's matrix as a chunk: int8 tiles with a scale for each output, or plain floats.
///
/// A row's bytes depend on that row alone.
struct ChunkEncoder: Sendable {
    private let weights: WeightFormat
    private let columns: Int
    private let paddedColumns: Int
    private let tensor: SourceTensor
    /// What is still to be done to stored int8 scales; float numbers keep it for the forward pass.
    private let scale: FanInScale
    /// BMCook's scales, one for each output of the matrix; nil for float weights.
    private let givenScales: [Float]?
    private let converter: FloatConverter?
    /// Adapters to merge.
    private let additions: [LowRankAddition]
    private let kernels: WeightKernels

    /// - Parameters:
    ///   - columns: the columns of the matrix, which is its fan-in.
    ///   - scale: of the numbers of `source`.
    ///   - additions: adapters to add to the numbers first.
    init(
        _ source: Checkpoint.MatrixSource, columns: Int, weights: WeightFormat, scale: FanInScale,
        additions: [LowRankAddition] = [], kernels: WeightKernels
    ) throws(LeafError) {
        self.additions = additions
        self.weights = weights
        self.columns = columns
        paddedColumns = weights.layout.storedColumns(columns)
        self.scale = scale
        self.kernels = kernels
        tensor = source.rows
        switch source {
        case .floats(let tensor):
            converter = try FloatConverter(tensor, kernels)
            givenScales = nil
        case .quantized(_, let scales):
            converter = nil
            givenScales = try RowReader(scales).floats(kernels)
            if let row = givenScales!.firstIndex(where: { $0 < 0 }) {
                throw LeafError(.badInput, "\(scales.storage.path): \(scales.name) is negative in row \(row)")
            }
        }
    }

    /// - Parameters:
    ///   - rows: the outputs, row-major, in the source's element type.
    ///   - firstRow: the number of the first output in the matrix, and so in BMCook's scales.
    ///   - rowCount: the number of outputs; the last tile is padded with zeros.
    ///   - target: `ChunkGeometry.bytes` of the chunk, or outputs without tiles if `isTiled` is false.
    ///   - scales: one for each output of the chunk, for int8.
    /// - Throws: `.badInput` naming the first output with a number that cannot be stored.
    func encode(
        _ rows: UnsafeRawPointer, firstRow: Int, rowCount: Int, into target: UnsafeMutableRawPointer,
        scales: UnsafeMutablePointer<Float>, isTiled: Bool = true
    ) throws(LeafError) {
        let job = Job(rows: rows, target: target, scales: scales, firstRow: firstRow, rowCount: rowCount)
        if let row = encode(job, isTiled: isTiled) {
            throw refusal(ofRow: firstRow + row, in: rows + row * rowBytes)
        }
    }

    private var rowBytes: Int { columns * tensor.type.byteCount }

    private struct Job {
        let rows: UnsafeRawPointer
        let target: UnsafeMutableRawPointer
        let scales: UnsafeMutablePointer<Float>
        let firstRow: Int
        let rowCount: Int
    }

    /// - Returns: the first output that cannot be stored; nil if all can.
    private func encode(_ job: Job, isTiled: Bool) -> Int? {
        withUnsafeTemporaryAllocation(byteCount: paddedColumns * 5, alignment: 64) { scratch in
            let floats = scratch.baseAddress!.bindMemory(to: Float.self, capacity: paddedColumns)
            let values = (scratch.baseAddress! + paddedColumns * 4).bindMemory(to: Int8.self, capacity: paddedColumns)
            values.update(repeating: 0, count: paddedColumns)
            for row in 0..<job.rowCount {
                let source = job.rows + row * rowBytes
                guard weights == .int8 else {
                    guard encodeFloats(source, job, row, floats) else { return row }
                    continue
                }
                guard let quantized = quantize(source, job, row, floats, values) else { return row }
                if isTiled {
                    interleave(quantized, row, job.target)
                } else {
                    job.target.advanced(by: row * columns).copyMemory(from: quantized, byteCount: columns)
                }
            }
            return nil
        }
    }

    /// Quantizes one output to int8 and writes its scale to `scales`; nil if a number is not finite.
    private func quantize(
        _ source: UnsafeRawPointer, _ job: Job, _ row: Int, _ floats: UnsafeMutablePointer<Float>,
        _ values: UnsafeMutablePointer<Int8>
    ) -> UnsafePointer<Int8>? {
        let scale: Float
        if let givenScales, additions.isEmpty {
            scale = givenScales[job.firstRow + row]
            values.update(from: source.assumingMemoryBound(to: Int8.self), count: columns)
            guard !UnsafeBufferPointer(start: values, count: columns).contains(-128) else { return nil }
        } else {
            widen(source, job, row, floats)
            guard Self.isFinite(floats, columns) else { return nil }
            scale = kernels.largestMagnitude(floats, count: columns) / 127
            kernels.quantize(floats, count: columns, scale: scale, to: values)
        }
        job.scales[row] = Float(Double(scale) / self.scale.divisor)
        return UnsafePointer(values)
    }

    /// Writes an output into its tile, `[paddedColumns / 4][16][4]`.
    private func interleave(_ row: UnsafePointer<Int8>, _ index: Int, _ target: UnsafeMutableRawPointer) {
        let (tile, output) = index.quotientAndRemainder(dividingBy: WeightTile.outputs)
        let start = target + tile * WeightTile.outputs * paddedColumns
        // A quad of columns is one word.
        for column in stride(from: 0, to: paddedColumns, by: WeightTile.quad) {
            let quad = UnsafeRawPointer(row + column).load(as: UInt32.self)
            start.storeBytes(
                of: quad, toByteOffset: WeightTile.offset(output: output, column: column), as: UInt32.self)
        }
    }

    /// Widens one output to float32 and adds merged adapters.
    private func widen(_ source: UnsafeRawPointer, _ job: Job, _ row: Int, _ floats: UnsafeMutablePointer<Float>) {
        if let givenScales {
            let values = source.assumingMemoryBound(to: Int8.self)
            for column in 0..<columns { floats[column] = Float(values[column]) * givenScales[job.firstRow + row] }
        } else {
            converter!.convert(source, count: columns, to: floats)
        }
        for addition in additions { addition.add(toRow: job.firstRow + row, floats, columns: columns) }
    }

    private func encodeFloats(
        _ source: UnsafeRawPointer, _ job: Job, _ row: Int, _ floats: UnsafeMutablePointer<Float>
    ) -> Bool {
        widen(source, job, row, floats)
        guard Self.isFinite(floats, columns) else { return false }
        let target = job.target + row * columns * weights.elementBytes
        if weights == .float32 {
            target.copyMemory(from: floats, byteCount: columns * 4)
            return true
        }
        // A number that rounds to 65536 becomes an infinity in float16.
        guard kernels.largestMagnitude(floats, count: columns) < 65_520 else { return false }
        kernels.narrow(floats, count: columns, to: target.assumingMemoryBound(to: UInt16.self))
        return true
    }

    /// Whether no exponent has all bits set.
    private static func isFinite(_ floats: UnsafePointer<Float>, _ count: Int) -> Bool {
        var carry: UInt32 = 0
        for index in 0..<count { carry |= (floats[index].bitPattern & 0x7FFF_FFFF) &+ 0x0080_0000 }
        return carry & 0x8000_0000 == 0
    }

    /// The error for an output that was refused.
    private func refusal(ofRow row: Int, in source: UnsafeRawPointer) -> LeafError {
        let prefix = "\(tensor.storage.path): tensor \(tensor.name) holds"
        guard let converter else {
            let what = weights == .int8 ? "-128" : "int8 weights with too large a scale for float16"
            return LeafError(.badInput, "\(prefix) \(what) in row \(row), which symmetric int8 weights never do")
        }
        var floats = [Float](repeating: 0, count: columns)
        converter.convert(source, count: columns, to: &floats)
        guard let large = floats.first(where: { $0.isFinite && $0.magnitude >= 65_520 }), floats.allSatisfy(\.isFinite)
        else { return .notFinite(tensor, row: row) }
        return LeafError(
            .badInput, "\(prefix) \(large) in row \(row), too large for float16",
            advice: .setting("weights", ["f32", "int8"]))
    }
}
