internal import Glibc
internal import LeafFormat

/// The file in memory, one chunk at a time: populated ahead of its use, dropped behind it.
final class MappedFile: @unchecked Sendable {
    /// What one request for read-ahead asks for: the kernel shortens longer ones to the device's own limit.
    private static let readAheadBytes = 128 << 10

    private let base: UnsafeMutableRawPointer
    private let count: Int
    private let file: ReadableFile
    private let system: SystemCalls

    init(_ file: ReadableFile, chunks: [Chunk], system: SystemCalls) throws(LeafError) {
        // A chunk could not be dropped alone where pages are larger than its alignment.
        guard sysconf(Int32(_SC_PAGESIZE)) == ReadableFile.alignment else {
            throw LeafError(
                .io,
                "\(file.path): this machine's pages are not \(ReadableFile.alignment) bytes; use --io direct or buffered"
            )
        }
        count = chunks.map { $0.offset + $0.paddedBytes }.max() ?? 0
        let address = count > 0 ? system.map(file.descriptor, count) : -Int(EINVAL)
        guard address > 0, let base = UnsafeMutableRawPointer(bitPattern: address) else {
            throw LeafError(
                .io,
                "\(file.path): cannot be mapped (\(ReadFailure.system(Int32(-address)).reason)); use --io direct or buffered"
            )
        }
        self.base = base
        self.file = file
        self.system = system
        // A touched page must not bring its neighbours: they would stay behind the window.
        _ = system.adviseMemory(base, count, .random)
    }

    deinit { system.unmap(base, count) }

    /// Brings a chunk's pages into memory and into the page table.
    ///
    /// - Returns: `paddedBytes` bytes. They are not writable; raw chunks are only looked at.
    func populate(_ chunk: Chunk) throws(ReadFailure) -> UnsafeMutableRawBufferPointer {
        let bytes = UnsafeMutableRawBufferPointer(start: base + chunk.offset, count: chunk.paddedBytes)
        try checkSize(chunk)
        for offset in stride(from: 0, to: chunk.paddedBytes, by: Self.readAheadBytes) {
            let count = min(Self.readAheadBytes, chunk.paddedBytes - offset)
            _ = system.adviseFile(file.descriptor, chunk.offset + offset, count, .willNeed)
        }
        var result = -EINTR
        while result == -EINTR { result = system.adviseMemory(base + chunk.offset, chunk.paddedBytes, .populate) }
        if result < 0 {
            drop(chunk)
            try checkSize(chunk)
            // Linux before 5.14 does not know the request; a touch does the same, only without an error when it fails.
            guard result == -EINVAL else { throw .system(result == -EFAULT || result == -EHWPOISON ? EIO : -result) }
            touch(bytes)
        }
        try checkSize(chunk)
        return bytes
    }

    /// Gives the chunk's pages back, to the process's account and to the page cache's.
    func drop(_ chunk: Chunk) {
        _ = system.adviseMemory(base + chunk.offset, chunk.paddedBytes, .dontNeed)
        file.forget(from: chunk.offset, count: chunk.paddedBytes)
    }

    /// A mapped page beyond the file's end raises SIGBUS, so a file that shrinks has to be noticed before its use.
    private func checkSize(_ chunk: Chunk) throws(ReadFailure) {
        let size = try file.size()
        if size < chunk.offset + chunk.paddedBytes { throw .ends(at: size) }
    }

    private func touch(_ bytes: UnsafeMutableRawBufferPointer) {
        var sum: UInt8 = 0
        for offset in stride(from: 0, to: bytes.count, by: ReadableFile.alignment) { sum &+= bytes[offset] }
        withExtendedLifetime(sum) {}
    }
}
