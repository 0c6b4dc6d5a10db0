import LeafConversion
import LeafFormat
import LeafSystem

/// Encodes outputs of a checkpoint's matrix as a chunk: tiles with a scale for each output, or plain floats.
///
/// A row's int8 numbers depend on that row alone, the codes of a tile on its int8 numbers.
struct ChunkEncoder: Sendable {
    private let layout: WeightLayout
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
        _ source: Checkpoint.MatrixSource, columns: Int, layout: WeightLayout, scale: FanInScale,
        additions: [LowRankAddition] = [], kernels: WeightKernels
    ) throws(LeafError) {
        self.additions = additions
        self.layout = layout
        self.columns = columns
        paddedColumns = layout.storedColumns(columns)
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
    ///   - target: `ChunkGeometry.bytes` of the chunk, zeros where it has padded outputs, or outputs without tiles if
    ///     `isTiled` is false.
    ///   - scales: one for each output of the chunk, for quantized layouts.
    /// - Returns: how many of the outputs are zeros alone.
    /// - Throws: `.badInput` naming the first output with a number that cannot be stored.
    @discardableResult func encode(
        _ rows: UnsafeRawPointer, firstRow: Int, rowCount: Int, into target: UnsafeMutableRawPointer,
        scales: UnsafeMutablePointer<Float>, isTiled: Bool = true
    ) throws(LeafError) -> Int {
        let job = Job(rows: rows, target: target, scales: scales, firstRow: firstRow, rowCount: rowCount)
        let (refused, zeroRows) = encode(job, isTiled: isTiled)
        if let refused { throw refusal(ofRow: firstRow + refused, in: rows + refused * rowBytes) }
        return zeroRows
    }

    private var rowBytes: Int { columns * tensor.type.byteCount }

    private struct Job {
        let rows: UnsafeRawPointer
        let target: UnsafeMutableRawPointer
        let scales: UnsafeMutablePointer<Float>
        let firstRow: Int
        let rowCount: Int
    }

    /// What the numbers of one output are.
    private enum Content {
        case unstorable
        case zeros
        case numbers
    }

    /// - Returns: the first output that cannot be stored, nil if all can; and how many are zeros alone.
    private func encode(_ job: Job, isTiled: Bool) -> (refused: Int?, zeroRows: Int) {
        let tileBytes = layout.isCoded ? WeightTile.outputs * paddedColumns : 0
        return withUnsafeTemporaryAllocation(byteCount: paddedColumns * 5 + tileBytes, alignment: 64) { scratch in
            let floats = scratch.baseAddress!.bindMemory(to: Float.self, capacity: paddedColumns)
            let values = (scratch.baseAddress! + paddedColumns * 4).bindMemory(to: Int8.self, capacity: paddedColumns)
            let tile = scratch.baseAddress! + paddedColumns * 5
            values.update(repeating: 0, count: paddedColumns)
            var zeroRows = 0
            for row in 0..<job.rowCount {
                let source = job.rows + row * rowBytes
                let content =
                    layout.isQuantized
                    ? quantize(source, job, row, floats, values) : encodeFloats(source, job, row, floats)
                if content == .unstorable { return (row, zeroRows) }
                if content == .zeros { zeroRows += 1 }
                guard layout.isQuantized else { continue }
                if layout.isCoded {
                    encode(values, row, of: job, tile)
                } else if isTiled {
                    let (tile, output) = row.quotientAndRemainder(dividingBy: WeightTile.outputs)
                    WeightTile.put(
                        values, of: output, columns: paddedColumns,
                        in: (job.target + tile * WeightTile.outputs * paddedColumns).assumingMemoryBound(to: Int8.self))
                } else {
                    job.target.advanced(by: row * columns).copyMemory(from: values, byteCount: columns)
                }
            }
            return (nil, zeroRows)
        }
    }

    /// Writes an output into the int8 tile in `scratch`, and the codes of a tile that is complete to the target.
    private func encode(_ values: UnsafePointer<Int8>, _ row: Int, of job: Job, _ scratch: UnsafeMutableRawPointer) {
        let (tile, output) = row.quotientAndRemainder(dividingBy: WeightTile.outputs)
        let tileBytes = WeightTile.outputs * paddedColumns
        if output == 0 { scratch.initializeMemory(as: UInt8.self, repeating: 0, count: tileBytes) }
        let numbers = scratch.assumingMemoryBound(to: Int8.self)
        WeightTile.put(values, of: output, columns: columns, in: numbers)
        guard output == WeightTile.outputs - 1 || row == job.rowCount - 1 else { return }
        kernels.codec.store(
            numbers, as: layout, columns: columns,
            to: job.target + tile * layout.byteCount(outputs: WeightTile.outputs, columns: columns))
    }

    /// Quantizes one output to int8 and writes its scale to `scales`.
    private func quantize(
        _ source: UnsafeRawPointer, _ job: Job, _ row: Int, _ floats: UnsafeMutablePointer<Float>,
        _ values: UnsafeMutablePointer<Int8>
    ) -> Content {
        if let givenScales, additions.isEmpty {
            job.scales[row] = scale.applied(to: givenScales[job.firstRow + row])
            values.update(from: source.assumingMemoryBound(to: Int8.self), count: columns)
            return Self.content(values, columns)
        }
        widen(source, job, row, floats)
        let content = Self.content(floats, columns)
        guard content != .unstorable else { return content }
        job.scales[row] = kernels.quantize(floats, count: columns, scale, to: values)
        return content
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
    ) -> Content {
        widen(source, job, row, floats)
        let content = Self.content(floats, columns)
        guard content != .unstorable else { return content }
        let target = job.target + row * columns * layout.elementType.byteCount
        if layout == .float32 {
            target.copyMemory(from: floats, byteCount: columns * 4)
            return content
        }
        // A number that rounds to 65536 becomes an infinity in float16.
        guard kernels.largestMagnitude(floats, count: columns) < 65_520 else { return .unstorable }
        kernels.narrow(floats, count: columns, to: target.assumingMemoryBound(to: UInt16.self))
        return content
    }

    /// Floats can be stored if no exponent has all bits set.
    private static func content(_ floats: UnsafePointer<Float>, _ count: Int) -> Content {
        var carry: UInt32 = 0
        var bits: UInt32 = 0
        for index in 0..<count {
            let magnitude = floats[index].bitPattern & 0x7FFF_FFFF
            bits |= magnitude
            carry |= magnitude &+ 0x0080_0000
        }
        if carry & 0x8000_0000 != 0 { return .unstorable }
        return bits == 0 ? .zeros : .numbers
    }

    private static func content(_ values: UnsafePointer<Int8>, _ count: Int) -> Content {
        if UnsafeBufferPointer(start: values, count: count).contains(-128) { return .unstorable }
        var bits: Int8 = 0
        for index in 0..<count { bits |= values[index] }
        return bits == 0 ? .zeros : .numbers
    }

    /// The error for an output that was refused.
    private func refusal(ofRow row: Int, in source: UnsafeRawPointer) -> LeafError {
        let prefix = "\(tensor.storage.path): tensor \(tensor.name) holds"
        guard let converter else {
            let what = layout.isQuantized ? "-128" : "int8 weights with too large a scale for float16"
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
