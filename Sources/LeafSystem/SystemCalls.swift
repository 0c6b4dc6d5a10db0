internal import CSystem
internal import Glibc

/// The system calls for reading, as values, so that a test can make each of them fail.
///
/// A call that fails returns the negative `errno`.
package struct SystemCalls: Sendable {
    /// Opens a file for reading; `direct` asks for reads past the page cache.
    package var open: @Sendable (_ path: String, _ direct: Bool) -> Int32
    package var close: @Sendable (_ descriptor: Int32) -> Void
    /// The file's size in bytes.
    package var size: @Sendable (_ descriptor: Int32) -> Int
    package var read:
        @Sendable (_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ count: Int, _ offset: Int) -> Int
    package var adviseFile: @Sendable (_ descriptor: Int32, _ offset: Int, _ count: Int, _ advice: FileAdvice) -> Int32
    /// Maps a file for reading, or anonymous memory if the descriptor is nil. Returns the address, or a negative
    /// `errno`.
    package var map: @Sendable (_ descriptor: Int32?, _ count: Int) -> Int
    package var unmap: @Sendable (_ address: UnsafeMutableRawPointer, _ count: Int) -> Void
    package var adviseMemory:
        @Sendable (_ address: UnsafeMutableRawPointer, _ count: Int, _ advice: MemoryAdvice) -> Int32

    package enum FileAdvice: Sendable {
        /// No read-ahead: a read brings in only what it asks for.
        case random
        /// Begin reading into the page cache.
        case willNeed
        /// Drop from the page cache.
        case dontNeed
    }

    package enum MemoryAdvice: Sendable {
        case random, hugePages
        /// Map every page now, and read missing ones. Gives an error where a touch would raise SIGBUS (Linux 5.14).
        case populate
        case dontNeed
    }

    /// The calls of this machine.
    package static let real = SystemCalls(
        open: { path, direct in result(Glibc.open(path, O_RDONLY | O_CLOEXEC | (direct ? leaf_o_direct : 0))) },
        close: { descriptor in _ = Glibc.close(descriptor) },
        size: { descriptor in
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { return -Int(errno) }
            return Int(status.st_size)
        },
        read: { descriptor, target, count, offset in
            let moved = pread(descriptor, target, count, offset)
            return moved < 0 ? -Int(errno) : moved
        },
        adviseFile: { descriptor, offset, count, advice in
            let code =
                switch advice {
                case .random: POSIX_FADV_RANDOM
                case .willNeed: POSIX_FADV_WILLNEED
                case .dontNeed: POSIX_FADV_DONTNEED
                }
            return -posix_fadvise(descriptor, offset, count, code)
        },
        map: { descriptor, count in
            let address =
                if let descriptor {
                    mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0)
                } else {
                    mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                }
            guard let address, address != MAP_FAILED else { return -Int(errno) }
            return Int(bitPattern: address)
        },
        unmap: { address, count in _ = munmap(address, count) },
        adviseMemory: { address, count, advice in
            let code =
                switch advice {
                case .random: MADV_RANDOM
                case .hugePages: MADV_HUGEPAGE
                case .populate: MADV_POPULATE_READ
                case .dontNeed: MADV_DONTNEED
                }
            return result(madvise(address, count, code))
        })

    private static func result(_ value: Int32) -> Int32 { value < 0 ? -errno : value }
}
