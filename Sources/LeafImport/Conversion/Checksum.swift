import CZlib
import LeafFormat
import LeafSystem

/// The CRC-32 of a zip archive, for bytes that arrive in parts. Several threads may compute parts at the same time.
struct Checksum {
    private(set) var value: UInt32 = 0

    init() {}

    init(_ bytes: UnsafeRawBufferPointer) {
        value = UInt32(crc32_z(0, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count))
    }

    /// Combines this sum with the sum of the `byteCount` bytes that follow.
    mutating func append(_ next: Checksum, byteCount: Int) {
        value = UInt32(crc32_combine(uLong(value), uLong(next.value), byteCount))
    }
}

extension Checkpoint {
    /// Checks the storages that are not checked while a whole matrix is read.
    ///
    /// - Throws: `.badInput` naming a tensor of the first storage with a wrong checksum.
    func checkSharedStorages() throws(LeafError) {
        // If a checkpoint is being consumed, parts are gone. They were checked before.
        guard !files.isConsumed else { return }
        var done = Set(matrices.values.map(\.rows).filter(\.fillsStorage).map(\.storage.key))
        for tensor in files.tensors
        where tensor.storage.checksum != nil && done.insert(tensor.storage.key).inserted {
            try tensor.checkStorage()
        }
    }
}

extension TensorStorage {
    fileprivate struct StorageKey: Hashable {
        let file: ObjectIdentifier
        let begin: Int
    }

    fileprivate var key: StorageKey { StorageKey(file: ObjectIdentifier(file), begin: begin) }
}

extension SourceTensor {
    /// Whether its rows are all the bytes of its storage, in order.
    var fillsStorage: Bool {
        offset == 0 && range.count == storage.byteCount && strides == Self.rowMajor(shape)
    }

    /// - Throws: `.badInput` if the bytes of the storage have another checksum.
    func checkStorage() throws(LeafError) {
        let room = try PageMemory(count: 1 << 20)
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
            .badInput, "\(storage.path): the bytes of tensor \(name) fail their checksum; get the file again")
    }
}
