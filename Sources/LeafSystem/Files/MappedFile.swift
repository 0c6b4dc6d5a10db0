internal import CSystem
internal import Glibc

/// A mapped file, of which a window is in memory: populated ahead of its use, dropped behind it.
package final class MappedFile: @unchecked Sendable {
    /// The size of one request for read-ahead. The kernel shortens longer ones to the device's own limit.
    private static let readAheadBytes = 128 << 10

    private let base: UnsafeMutableRawPointer
    private let count: Int
    private let file: ReadableFile
    private let system: SystemCalls
    /// -1 without a guard.
    private let guardNumber: Int32

    /// Why bytes that were used were not the file's.
    package enum Fault {
        case wasCut
        /// The file is long enough, and the disk does not give the page.
        case unreadable
        /// The machine's memory lost the page.
        case brokenMemory
    }

    /// - Parameters:
    ///   - count: bytes from the file's beginning, a multiple of the alignment.
    ///   - isGuarded: whether a page that cannot be read becomes a `fault`, and not a SIGBUS.
    package init(_ file: ReadableFile, count: Int, isGuarded: Bool, system: SystemCalls) throws(LeafError) {
        // Where pages are larger, a part that begins at a multiple of the alignment cannot be dropped by itself.
        guard sysconf(Int32(_SC_PAGESIZE)) == PageMemory.pageBytes else {
            throw LeafError(
                .io,
                "\(file.path): this machine's pages are not \(PageMemory.pageBytes) bytes",
                advice: .setting("io", ["direct", "buffered"]))
        }
        self.count = count
        let address = count > 0 ? system.map(.file(file.descriptor), count) : -Int(EINVAL)
        guard address > 0, let base = UnsafeMutableRawPointer(bitPattern: address) else {
            throw LeafError(
                .io,
                "\(file.path): cannot be mapped (\(ReadFailure.system(Int32(-address)).reason))",
                advice: .setting("io", ["direct", "buffered"]))
        }
        self.base = base
        self.file = file
        self.system = system
        // A page beyond the end of a file that was cut raises SIGBUS when it is touched.
        guardNumber = isGuarded ? leaf_guard_mapping(base, count) : -1
        guard !isGuarded || guardNumber >= 0 else {
            system.unmap(base, count)
            throw LeafError(
                .io, "\(file.path): too many mapped models in one process",
                advice: .setting("io", ["direct", "buffered"]))
        }
        // A touched page must not bring in its neighbours, which would stay behind the window.
        _ = system.adviseMemory(base, count, .random)
    }

    deinit {
        if guardNumber >= 0 { leaf_unguard_mapping(guardNumber) }
        system.unmap(base, count)
    }

    /// Mapped bytes, to be used once they are populated. They are not writable.
    package func bytes(at offset: Int, count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base + offset, count: count)
    }

    /// Brings pages into memory and into the page table.
    package func populate(at offset: Int, count: Int) throws(ReadFailure) {
        try checkSize(offset + count)
        for start in stride(from: 0, to: count, by: Self.readAheadBytes) {
            _ = system.adviseFile(
                file.descriptor, offset + start, min(Self.readAheadBytes, count - start), .willNeed)
        }
        let result = retrying { system.adviseMemory(base + offset, count, .populate) }
        if result < 0 {
            try checkSize(offset + count)
            // Linux before 5.14 does not know the request. Touching the pages does the same, except that a failure
            // gives no error.
            guard result == -EINVAL else { throw .system(result == -EFAULT || result == -EHWPOISON ? EIO : -result) }
            touch(UnsafeRawBufferPointer(start: base + offset, count: count))
        }
        try checkSize(offset + count)
    }

    /// What happened to bytes that were used; nil as long as all were the file's, and always without a guard.
    package var fault: Fault? {
        guard guardNumber >= 0 else { return nil }
        let faults = leaf_guarded_faults(guardNumber)
        if faults.memory > 0 { return .brokenMemory }
        if faults.file == 0 { return nil }
        // The kernel says the same of a page beyond the end and of one that the disk does not give.
        let size = (try? file.size()) ?? count
        return size < count ? .wasCut : .unreadable
    }

    /// Frees pages in the process and in the page cache.
    package func drop(at offset: Int, count: Int) {
        _ = system.adviseMemory(base + offset, count, .dontNeed)
        file.forget(from: offset, count: count)
    }

    private func checkSize(_ end: Int) throws(ReadFailure) {
        let size = try file.size()
        if size < end { throw .ends(at: size) }
    }

    private func touch(_ bytes: UnsafeRawBufferPointer) {
        var sum: UInt8 = 0
        for offset in stride(from: 0, to: bytes.count, by: PageMemory.pageBytes) { sum &+= bytes[offset] }
        withExtendedLifetime(sum) {}
    }
}
