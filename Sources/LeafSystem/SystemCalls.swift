internal import CSystem
internal import Glibc

/// The system calls that reading, memory and threads need, as values, so that a test can make each of them fail.
///
/// A call that fails returns the negative `errno`.
package struct SystemCalls: Sendable {
    /// Opens a file for reading; `direct` asks for reads past the page cache.
    package var open: @Sendable (_ path: String, _ direct: Bool) -> Int32
    package var close: @Sendable (_ descriptor: Int32) -> Void
    /// The file's size in bytes.
    package var size: @Sendable (_ descriptor: Int32) -> Int
    /// What changes when somebody writes to the file; nil if the system does not tell.
    package var stamp: @Sendable (_ descriptor: Int32) -> FileStamp?
    package var read:
        @Sendable (_ descriptor: Int32, _ target: UnsafeMutableRawPointer, _ count: Int, _ offset: Int) -> Int
    package var adviseFile: @Sendable (_ descriptor: Int32, _ offset: Int, _ count: Int, _ advice: FileAdvice) -> Int32
    /// Returns the address, or a negative `errno`.
    package var map: @Sendable (_ source: MapSource, _ count: Int) -> Int
    package var unmap: @Sendable (_ address: UnsafeMutableRawPointer, _ count: Int) -> Void
    package var adviseMemory:
        @Sendable (_ address: UnsafeMutableRawPointer, _ count: Int, _ advice: MemoryAdvice) -> Int32
    /// Runs a closure on a detached thread with a stack of 1 MiB. All signals but those of faults go to other threads,
    /// the program's own.
    package var startThread: @Sendable (_ body: @escaping @Sendable () -> Void) -> Int32

    package enum MapSource: Sendable {
        /// A file, for reading.
        case file(_ descriptor: Int32)
        /// Zeros. The system refuses more than it could ever give.
        case memory
        /// Zeros that may never be written.
        case reserved
    }

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
        open: { path, direct in checked(Glibc.open(path, O_RDONLY | O_CLOEXEC | (direct ? leaf_o_direct : 0))) },
        close: { descriptor in _ = Glibc.close(descriptor) },
        size: { descriptor in
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { return -Int(errno) }
            return Int(status.st_size)
        },
        stamp: { descriptor in
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { return nil }
            return FileStamp(
                byteCount: Int(status.st_size),
                modified: Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec))
        },
        read: { descriptor, target, count, offset in
            checked(pread(descriptor, target, count, offset))
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
        map: { source, count in
            let anonymous = MAP_PRIVATE | MAP_ANONYMOUS
            let address =
                switch source {
                case .file(let descriptor): mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0)
                case .memory: mmap(nil, count, PROT_READ | PROT_WRITE, anonymous, -1, 0)
                case .reserved: mmap(nil, count, PROT_READ | PROT_WRITE, anonymous | MAP_NORESERVE, -1, 0)
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
            return checked(madvise(address, count, code))
        }, startThread: startThread(_:))

    private static func startThread(_ body: @escaping @Sendable () -> Void) -> Int32 {
        // A new thread has its maker's mask.
        var (faults, old) = (sigset_t(), sigset_t())
        sigfillset(&faults)
        for number in [SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGPROF] { sigdelset(&faults, number) }
        pthread_sigmask(SIG_SETMASK, &faults, &old)
        defer { pthread_sigmask(SIG_SETMASK, &old, nil) }
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { return -ENOMEM }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, 1 << 20)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let raw = Unmanaged.passRetained(ThreadBody(body)).toOpaque()
        var thread: pthread_t = 0
        let status = pthread_create(
            &thread, &attributes,
            { raw in
                guard let raw else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, raw)
        if status != 0 { Unmanaged<ThreadBody>.fromOpaque(raw).release() }
        return -status
    }

    /// What a new thread is handed.
    private final class ThreadBody {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
