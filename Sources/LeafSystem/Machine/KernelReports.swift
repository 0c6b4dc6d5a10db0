internal import CSystem
internal import Glibc

/// What the kernel says of the machine and of this process, in small text files and by calls. A test can replace each.
package struct KernelReports: Sendable {
    /// The whole of a file; nil if it does not exist, is not text, or is longer than any such file.
    package var file: @Sendable (_ path: String) -> String?
    /// The machine's memory in bytes, and what of it nobody uses. For where there is no `/proc`, which knows more.
    package var memory: @Sendable () -> (total: Int, free: Int)
    /// How many processors this process may run on.
    package var processors: @Sendable () -> Int
    /// The largest resident size of this process so far, or of the program that became it.
    package var peakBytes: @Sendable () -> Int
    package var limits: @Sendable () -> Limits

    /// The limits of the shell (`ulimit`) that are in force, in bytes; nil where there is none.
    package struct Limits: Sendable {
        package var addressSpace: Int?
        package var data: Int?
        package var stack: Int?

        package init(addressSpace: Int? = nil, data: Int? = nil, stack: Int? = nil) {
            self.addressSpace = addressSpace
            self.data = data
            self.stack = stack
        }

        fileprivate static var current: Limits {
            func bytes(_ resource: __rlimit_resource) -> Int? {
                var limit = rlimit()
                guard getrlimit(Int32(resource.rawValue), &limit) == 0 else { return nil }
                // The largest number stands for no limit.
                return Int(exactly: limit.rlim_cur)
            }
            return Limits(
                addressSpace: bytes(RLIMIT_AS), data: bytes(RLIMIT_DATA), stack: bytes(RLIMIT_STACK))
        }
    }

    /// Of a kernel that says nothing except these files.
    package init(files: @escaping @Sendable (_ path: String) -> String?) {
        file = files
        memory = { (0, 0) }
        processors = { 1 }
        peakBytes = { 0 }
        limits = { Limits() }
    }

    /// The running kernel's.
    package static let real = under("")

    /// The running kernel's, with the files below another root.
    package static func under(_ root: String) -> KernelReports {
        var reports = KernelReports { contents(of: root + $0) }
        reports.memory = {
            let memory = leaf_machine_memory()
            return (Int(memory.total), Int(memory.free))
        }
        reports.processors = { Int(leaf_processors()) }
        reports.peakBytes = { Int(leaf_peak_bytes()) }
        reports.limits = { Limits.current }
        return reports
    }

    private static let limitBytes = 4 << 20

    private static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while bytes.count < limitBytes {
            let count = retrying { checked(read(descriptor, &piece, piece.count)) }
            guard count >= 0 else { return nil }
            if count == 0 { return String(validating: bytes, as: UTF8.self) }
            bytes += piece[..<count]
        }
        return nil
    }
}
