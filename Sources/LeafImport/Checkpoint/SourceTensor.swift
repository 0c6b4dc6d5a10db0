package import LeafFormat
package import LeafSystem

/// Bytes of a checkpoint that can be read at any offset: a file, or an entry of a zip archive.
package struct TensorStorage: Sendable {
    package let file: InputFile
    /// Their offset in the file.
    package let begin: Int
    package let byteCount: Int
    /// The CRC-32 of all the bytes, if the file has it.
    let checksum: UInt32?

    /// The file's path, for messages.
    package var path: String { file.path }

    package init(_ file: InputFile) {
        self.file = file
        begin = 0
        byteCount = file.byteCount
        checksum = nil
    }

    /// - Returns: nil if the range leaves the file.
    init?(_ file: InputFile, begin: Int, byteCount: Int, checksum: UInt32?) {
        guard begin >= 0, byteCount >= 0, byteCount <= file.byteCount, begin <= file.byteCount - byteCount else {
            return nil
        }
        self.file = file
        self.begin = begin
        self.byteCount = byteCount
        self.checksum = checksum
    }

    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        try file.read(at: begin + offset, into: target)
    }
}

/// A tensor of a checkpoint: a view of a storage. It may have strides, and other tensors may use the same storage.
package struct SourceTensor: Sendable {
    package typealias ElementType = TensorEntry.ElementType

    package let name: String
    package let type: ElementType
    package let shape: [Int]
    /// For each axis, the distance in elements; none is negative.
    package let strides: [Int]
    package let storage: TensorStorage
    /// The offset in the storage, in bytes.
    package let offset: Int

    /// - Throws: `.badInput` if the view leaves its storage, or has more elements than that.
    package init(
        name: String, type: ElementType, shape: [Int], strides: [Int], storage: TensorStorage, offset: Int
    ) throws(LeafError) {
        let view = "\(storage.path): tensor \(name) (shape \(shape), strides \(strides))"
        guard offset >= 0, let span = Self.span(shape, strides)?.multiplied(by: type.byteCount),
            let end = offset.adding(span), end <= storage.byteCount
        else { throw LeafError(.badInput, "\(view) reaches outside its storage; the checkpoint is damaged") }
        // Whoever reads a tensor makes room for its elements: a view must not ask for more than its file has.
        guard let bytes = Self.byteCount(shape, type), bytes <= storage.byteCount else {
            throw LeafError(
                .badInput,
                "\(view) has more elements than its storage of \(storage.byteCount.sizeText); "
                    + "save it again with .contiguous()")
        }
        self.name = name
        self.type = type
        self.shape = shape
        self.strides = strides
        self.storage = storage
        self.offset = offset
    }

    /// Makes a row-major tensor of a safetensors file.
    package init(_ entry: TensorEntry, in file: InputFile) throws(LeafError) {
        try self.init(
            name: entry.name, type: entry.type, shape: entry.shape, strides: Self.rowMajor(entry.shape),
            storage: TensorStorage(file), offset: entry.offset)
    }

    static func rowMajor(_ shape: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in stride(from: shape.count - 2, through: 0, by: -1) {
            // A checked header has no shape whose product overflows, but it may have sizes of 0.
            strides[axis] = strides[axis + 1].multiplied(by: max(shape[axis + 1], 1)) ?? 0
        }
        return strides
    }

    /// Elements from the first of a view to its last, both counted; nil for a view that there cannot be.
    private static func span(_ shape: [Int], _ strides: [Int]) -> Int? {
        guard shape.count == strides.count else { return nil }
        var last = 0
        for (size, stride) in zip(shape, strides) {
            guard size >= 0, stride >= 0, let distance = (max(size, 1) - 1).multiplied(by: stride),
                let sum = last.adding(distance)
            else { return nil }
            last = sum
        }
        return shape.contains(0) ? 0 : last.adding(1)
    }

    /// Of all elements; nil where it does not fit, also if the axes of size 0 are left out, so that sizes may be
    /// multiplied in any order.
    private static func byteCount(_ shape: [Int], _ type: ElementType) -> Int? {
        var bytes = type.byteCount
        for size in shape where size > 0 {
            guard let product = bytes.multiplied(by: size) else { return nil }
            bytes = product
        }
        return shape.contains(0) ? 0 : bytes
    }

    /// Some rows of a matrix, as a tensor of their own.
    package func rows(_ range: Range<Int>, name: String) throws(LeafError) -> SourceTensor {
        precondition(shape.count == 2 && range.lowerBound >= 0 && range.upperBound <= shape[0])
        return try SourceTensor(
            name: name, type: type, shape: [range.count, shape[1]], strides: strides, storage: storage,
            offset: offset + range.lowerBound * strides[0] * type.byteCount)
    }

    /// The bytes in the file from its first to its last. If it has strides, other tensors' bytes may lie between.
    package var range: Range<Int> {
        let last = shape.contains(0) ? -1 : zip(shape, strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 }
        let begin = storage.begin + offset
        return begin..<begin + (last + 1) * type.byteCount
    }

    /// Whether it is the same view of the same bytes.
    package func isSame(as other: SourceTensor) -> Bool {
        storage.file === other.storage.file && range.lowerBound == other.range.lowerBound && strides == other.strides
            && type == other.type
    }
}
