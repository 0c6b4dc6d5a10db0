import Glibc

/// A file that is read at any place, by any number of threads. Closed when the last user lets go.
public final class InputFile: Sendable {
    public let path: String
    /// Bytes when it was opened.
    public let byteCount: Int
    /// Nanoseconds since 1970 of the last change when it was opened.
    public let modified: Int
    package let descriptor: Int32

    /// - Throws: `.io` if there is no such file or no permission, `.badInput` if it is not a regular file.
    public init(path: String) throws(LeafError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .system("\(path) cannot be opened", errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw .system("\(path) cannot be examined", code)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            let kind = status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "not a regular file"
            throw LeafError(.badInput, "\(path) is \(kind), where a file is wanted")
        }
        self.path = path
        self.byteCount = Int(status.st_size)
        self.modified = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Fills `target` with the bytes at `offset`; interrupted and short reads are continued.
    ///
    /// - Throws: `.io` when reading fails or the file ends before `target` is full.
    public func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        var done = 0
        while done < target.count {
            // A single call moves less than 2 GiB.
            let wanted = min(target.count - done, 1 << 30)
            let count = pread(descriptor, target.baseAddress! + done, wanted, offset + done)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw .system("\(path) cannot be read at offset \(offset + done)", errno) }
            guard count > 0 else {
                throw LeafError(
                    .io, "\(path) ends at offset \(offset + done), before what its tables promise; get the file again")
            }
            done += count
        }
    }

    /// The most that `bytes` reads; what is larger is read in pieces.
    private static let maximumBytes = 1 << 30

    /// The bytes of a range of a few MiB, in memory of their own.
    public func bytes(at offset: Int, count: Int) throws(LeafError) -> [UInt8] {
        guard count <= Self.maximumBytes else {
            throw LeafError(.badInput, "\(path): \(count.sizeText) at offset \(offset) are too much to hold at once")
        }
        var fault: LeafError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(LeafError) {
                let room = UnsafeMutableRawBufferPointer(buffer)
                try read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: room[0..<count]))
                initialized = count
            } catch {
                fault = error
            }
        }
        if let fault { throw fault }
        return bytes
    }

    /// Lets the kernel drop cached pages of a range that is not needed again.
    package func dropCache(at offset: Int, count: Int) {
        _ = posix_fadvise(descriptor, offset, count, POSIX_FADV_DONTNEED)
    }
}

extension LeafError {
    /// A failed system call: what could not be done, why, and what to do about the usual reasons.
    package static func system(_ what: String, _ code: Int32) -> LeafError {
        let reason = String(cString: strerror(code))
        let advice =
            switch code {
            case ENOENT: "; check the path"
            case EACCES, EPERM: "; check the permissions"
            case EROFS: "; choose another place"
            case ENOSPC, EDQUOT: "; free some space"
            case EMFILE, ENFILE: "; close other programs or raise `ulimit -n`"
            default: ""
            }
        return LeafError(.io, "\(what): \(reason.lowercased())\(advice)")
    }
}
