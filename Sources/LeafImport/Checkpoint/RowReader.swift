import LeafFormat
package import LeafSystem

/// Reads rows of a tensor in row-major order, whatever order they are stored in.
///
/// A vector is one row. Row-major tensors are read in place, a few rows at a time. Other tensors, such as the
/// column-major ones of pruning tools, are read whole once, and their rows are gathered from memory.
package final class RowReader {
    package let tensor: SourceTensor
    package let rows: Int
    package let columns: Int
    private let rowStride: Int
    private let columnStride: Int
    private var whole: PageMemory?

    /// The most memory for a tensor that is not row-major: a float32 token table of the 10B.
    private static let maximumWholeBytes = 512 << 20

    /// - Parameter tensor: has one or two axes, none of size 0.
    package init(_ tensor: SourceTensor) throws(LeafError) {
        guard (1...2).contains(tensor.shape.count), !tensor.shape.contains(0) else {
            throw LeafError(.badInput, "\(tensor.storage.path): tensor \(tensor.name) has the shape \(tensor.shape)")
        }
        self.tensor = tensor
        rows = tensor.shape.count == 2 ? tensor.shape[0] : 1
        columns = tensor.shape.last!
        rowStride = tensor.shape.count == 2 ? tensor.strides[0] : columns
        columnStride = columns == 1 ? 1 : tensor.strides.last!
    }

    /// Whether rows are read in place, so that several threads can read at the same time.
    var isRowMajor: Bool { columnStride == 1 }

    package var rowBytes: Int { columns * tensor.type.byteCount }

    /// Fills `target` with rows, in the tensor's element type.
    package func read(rows range: Range<Int>, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        precondition(range.upperBound <= rows && target.count >= range.count * rowBytes)
        let size = tensor.type.byteCount
        if columnStride != 1 {
            try gather(range, into: target)
        } else if rowStride == columns || range.count == 1 {
            let begin = tensor.offset + range.lowerBound * rowStride * size
            let count = range.count * rowBytes
            try tensor.storage.read(at: begin, into: UnsafeMutableRawBufferPointer(rebasing: target[0..<count]))
        } else {
            for (index, row) in range.enumerated() {
                let bytes = UnsafeMutableRawBufferPointer(rebasing: target[index * rowBytes..<(index + 1) * rowBytes])
                try tensor.storage.read(at: tensor.offset + row * rowStride * size, into: bytes)
            }
        }
    }

    /// Bytes that a buffer for `readPages` needs besides the rows.
    package static let pageRoom = InputFile.pageRoom

    /// Reads rows that are not needed again, and leaves none of them in the page cache.
    ///
    /// - Parameter target: begins at a page, and has `pageRoom` more bytes than the rows.
    /// - Returns: the rows, somewhere in `target`, aligned for their element type.
    package func readPages(
        rows range: Range<Int>, into target: UnsafeMutableRawBufferPointer
    ) throws(LeafError) -> UnsafeRawBufferPointer {
        let count = range.count * rowBytes
        guard columnStride == 1, rowStride == columns || range.count == 1 else {
            try read(rows: range, into: target)
            tensor.storage.file.dropCache(at: tensor.range.lowerBound, count: tensor.range.count)
            return UnsafeRawBufferPointer(rebasing: target[0..<count])
        }
        let size = tensor.type.byteCount
        let begin = tensor.range.lowerBound + range.lowerBound * rowStride * size
        let bytes = try tensor.storage.file.readPages(at: begin, count: count, into: target)
        guard begin % size != 0 else { return UnsafeRawBufferPointer(bytes) }
        let aligned = UnsafeMutableRawBufferPointer(rebasing: target[0..<count])
        aligned.copyMemory(from: UnsafeRawBufferPointer(bytes))
        return UnsafeRawBufferPointer(aligned)
    }

    /// All rows as float32.
    ///
    /// - Parameter kernels: those that widen.
    /// - Throws: `.badInput` for element types that no weights have, and for numbers that are not finite.
    package func floats(_ kernels: WeightKernels) throws(LeafError) -> [Float] {
        let bytes = try PageMemory(count: rows * rowBytes)
        try read(rows: 0..<rows, into: bytes.bytes)
        var floats = [Float](repeating: 0, count: rows * columns)
        let converter = try FloatConverter(tensor, kernels)
        converter.convert(bytes.bytes.baseAddress!, count: floats.count, to: &floats)
        if let index = floats.firstIndex(where: { !$0.isFinite }) {
            throw .notFinite(tensor, row: index / columns)
        }
        return floats
    }

    private func gather(_ range: Range<Int>, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        let size = tensor.type.byteCount
        if whole == nil {
            let span = ((rows - 1) * rowStride + (columns - 1) * columnStride + 1) * size
            guard span <= Self.maximumWholeBytes else {
                throw LeafError(
                    .badInput,
                    "\(tensor.storage.path): tensor \(tensor.name) is not row-major and takes \(span.sizeText); "
                        + "save it again with .contiguous()")
            }
            let buffer = try PageMemory(count: span)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<span])
            try tensor.storage.read(at: tensor.offset, into: bytes)
            whole = buffer
        }
        let source = UnsafeRawPointer(whole!.bytes.baseAddress!)
        switch size {
        case 1: copy(UInt8.self, range, source, target.baseAddress!)
        case 2: copy(UInt16.self, range, source, target.baseAddress!)
        case 4: copy(UInt32.self, range, source, target.baseAddress!)
        default: copy(UInt64.self, range, source, target.baseAddress!)
        }
    }

    private func copy<Element>(
        _: Element.Type, _ range: Range<Int>, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer
    ) {
        let source = source.assumingMemoryBound(to: Element.self)
        let target = target.assumingMemoryBound(to: Element.self)
        // Strips of columns keep the lines of a column-major source in the cache from row to row.
        for strip in stride(from: 0, to: columns, by: 64) {
            for (index, row) in range.enumerated() {
                for column in strip..<min(strip + 64, columns) {
                    target[index * columns + column] = source[row * rowStride + column * columnStride]
                }
            }
        }
    }
}

/// Widens stored numbers to float32.
struct FloatConverter {
    private let type: SourceTensor.ElementType
    private let kernels: WeightKernels

    /// - Throws: `.badInput` if the tensor has no floating-point numbers.
    init(_ tensor: SourceTensor, _ kernels: WeightKernels) throws(LeafError) {
        guard [.f16, .bf16, .f32, .f64].contains(tensor.type) else {
            throw LeafError(
                .badInput,
                "\(tensor.storage.path): tensor \(tensor.name) holds \(tensor.type.rawValue), where weights are wanted")
        }
        type = tensor.type
        self.kernels = kernels
    }

    func convert(_ source: UnsafeRawPointer, count: Int, to target: UnsafeMutablePointer<Float>) {
        switch type {
        case .f16: kernels.widenHalves(source.assumingMemoryBound(to: UInt16.self), count: count, to: target)
        case .bf16: kernels.widenBrainFloats(source.assumingMemoryBound(to: UInt16.self), count: count, to: target)
        case .f64:
            let source = source.assumingMemoryBound(to: Double.self)
            for index in 0..<count { target[index] = Float(source[index]) }
        default: target.update(from: source.assumingMemoryBound(to: Float.self), count: count)
        }
    }
}

extension LeafError {
    static func notFinite(_ tensor: SourceTensor, row: Int) -> LeafError {
        LeafError(
            .badInput,
            "\(tensor.storage.path): tensor \(tensor.name) holds a NaN or an infinity in row \(row); "
                + "get the file again")
    }
}
