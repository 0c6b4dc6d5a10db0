import CZlib
import LeafFormat

/// CRC-32 as zip archives have it, of bytes that come in parts; the parts may be summed at the same time.
struct Checksum {
    private(set) var value: UInt32 = 0

    init() {}

    init(_ bytes: UnsafeRawBufferPointer) {
        value = UInt32(crc32_z(0, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count))
    }

    /// The sum of these bytes and the `byteCount` that follow them.
    mutating func append(_ next: Checksum, byteCount: Int) {
        value = UInt32(crc32_combine(uLong(value), uLong(next.value), byteCount))
    }
}

extension Checkpoint {
    /// Compares with their checksums those storages that no pass over a whole matrix will.
    ///
    /// - Throws: `.badInput` naming a tensor of the first storage that differs.
    func checkSharedStorages() throws(LeafError) {
        // Of a checkpoint that is being consumed parts are gone; they were right before.
        guard !files.isConsumed else { return }
        var done = Set(matrices.values.map(\.rows).filter(\.fillsStorage).map(\.storage.place))
        for tensor in files.tensors
        where tensor.storage.checksum != nil && done.insert(tensor.storage.place).inserted {
            try tensor.checkStorage()
        }
    }
}

extension TensorStorage {
    fileprivate struct Place: Hashable {
        let file: ObjectIdentifier
        let begin: Int
    }

    fileprivate var place: Place { Place(file: ObjectIdentifier(file), begin: begin) }
}

extension SourceTensor {
    /// Whether its rows are all the bytes of its storage, in their order.
    var fillsStorage: Bool {
        offset == 0 && range.count == storage.byteCount && strides == Self.rowMajor(shape)
    }

    /// - Throws: `.badInput` if the bytes of the storage do not have its checksum.
    func checkStorage() throws(LeafError) {
        let room = try AlignedBuffer(count: 1 << 20)
        var sum = Checksum()
        for begin in stride(from: 0, to: storage.byteCount, by: room.bytes.count) {
            let count = min(room.bytes.count, storage.byteCount - begin)
            let part = UnsafeMutableRawBufferPointer(rebasing: room.bytes[0..<count])
            try storage.read(at: begin, into: part)
            sum.append(Checksum(UnsafeRawBufferPointer(part)), byteCount: count)
        }
        try check(sum)
    }

    func check(_ sum: Checksum) throws(LeafError) {
        guard let checksum = storage.checksum, checksum != sum.value else { return }
        throw LeafError(
            .badInput, "\(storage.path): the bytes of tensor \(name) fail their checksum; get the checkpoint again")
    }
}
