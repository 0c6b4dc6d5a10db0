import CSystem
import Glibc
import Synchronization

/// The system calls for writing, as values, so that a test can make each of them fail.
package struct WriteCalls: Sendable {
    package var write: @Sendable (_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int) -> Int =
        {
            pwrite($0, $1, $2, $3)
        }
    package var synchronize: @Sendable (_ descriptor: Int32) -> Int32 = { fdatasync($0) }
    package var free: @Sendable (_ descriptor: Int32, _ offset: Int, _ count: Int) -> Int32 = {
        leaf_punch_hole($0, Int64($1), Int64($2))
    }

    package init() {}
}

/// A file that any number of threads can write at any offset.
package final class OutputFile: Sendable {
    package let path: String
    private let descriptor: Int32
    /// A descriptor of the same file for direct writes; -1 if the file system does not support them.
    private let directDescriptor: Int32
    private let calls: WriteCalls
    /// What to do after there was no room, and there is again.
    private let again: String?
    /// The first bytes of a file that is unfinished, in place of which zeros stand in it; nil where they are written
    /// straight.
    private let heldHead: Mutex<[UInt8]?>

    /// Opens a file for writing and for reading back.
    ///
    /// - Parameters:
    ///   - creates: whether to create the file if it does not exist.
    ///   - holdsHead: whether its first bytes wait for `writeHead()`.
    ///   - again: what to do after there was no room; nil where the caller says it.
    /// - Throws: `.io` if it cannot be written, `.usage` for a link, a pipe, or a device.
    package init(
        path: String, creates: Bool = true, holdsHead: Bool = false, calls: WriteCalls = WriteCalls(),
        again: String? = "run the same command again"
    ) throws(LeafError) {
        heldHead = Mutex(holdsHead ? [] : nil)
        self.again = again
        descriptor = open(path, O_RDWR | (creates ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            let code = errno
            throw code == ELOOP ? .notRegular(path) : .system("\(path) cannot be written", code)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .notRegular(path)
        }
        directDescriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | leaf_o_direct)
        self.path = path
        self.calls = calls
    }

    deinit {
        close(descriptor)
        if directDescriptor >= 0 { close(directDescriptor) }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LeafError) {
        try write(bytes, at: offset, through: descriptor)
    }

    /// Writes whole pages that are not read again soon, past the page cache if possible.
    ///
    /// - Parameters: address, count and offset are multiples of 4096.
    package func writePages(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(LeafError) {
        try write(bytes, at: offset, through: directDescriptor >= 0 ? directDescriptor : descriptor)
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, through first: Int32
    ) throws(LeafError) {
        let held = hold(bytes, at: offset)
        guard held == 0 else {
            try put([UInt8](repeating: 0, count: held), at: offset)
            return try put(UnsafeRawBufferPointer(rebasing: bytes[held...]), at: offset + held, through: descriptor)
        }
        try put(bytes, at: offset, through: first)
    }

    /// Keeps what belongs to the head of an unfinished file.
    ///
    /// - Returns: how many bytes it kept.
    private func hold(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
        guard offset < Self.unfinishedHead.count else { return 0 }
        return heldHead.withLock { head in
            guard var bytesSoFar = head else { return 0 }
            let count = min(bytes.count, Self.unfinishedHead.count - offset)
            if bytesSoFar.count < offset + count {
                bytesSoFar += [UInt8](repeating: 0, count: offset + count - bytesSoFar.count)
            }
            for index in 0..<count { bytesSoFar[offset + index] = bytes[index] }
            head = bytesSoFar
            return count
        }
    }

    /// Writes the bytes that were held back: from now on nobody takes the file for unfinished.
    func writeHead() throws(LeafError) {
        let head = heldHead.withLock { head in
            defer { head = nil }
            return head
        }
        if let head { try put(head, at: 0) }
    }

    private func put(_ bytes: [UInt8], at offset: Int) throws(LeafError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(LeafError) in
            try put(UnsafeRawBufferPointer(bytes), at: offset, through: descriptor)
        }
    }

    private func put(_ bytes: UnsafeRawBufferPointer, at offset: Int, through first: Int32) throws(LeafError) {
        var target = first
        var done = 0
        while done < bytes.count {
            let (source, wanted) = (bytes.baseAddress! + done, min(bytes.count - done, 1 << 30))
            let count = retrying { checked(calls.write(target, source, wanted, offset + done)) }
            // Some file systems accept direct writing and then refuse a write, and none can continue after a short one.
            if count == -Int(EINVAL), target != descriptor {
                target = descriptor
                continue
            }
            guard count > 0 else {
                throw failure(count == 0 ? ENOSPC : Int32(-count), at: offset + done)
            }
            done += count
        }
    }

    private func failure(_ code: Int32, at offset: Int) -> LeafError {
        switch code {
        case ENOSPC, EDQUOT:
            LeafError(
                .io,
                "the disk of \(path) is full after \(allocatedBytes.diskText); free some space"
                    + (again.map { " and \($0)" } ?? ""), systemCode: code)
        case EFBIG: .tooLarge(path, again: again)
        default: .system("\(path) cannot be written at offset \(offset)", code)
        }
    }

    package func write(_ bytes: [UInt8], at offset: Int) throws(LeafError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(LeafError) in
            try write(UnsafeRawBufferPointer(bytes), at: offset)
        }
    }

    /// Waits until everything written is on the disk.
    package func synchronize() throws(LeafError) {
        guard calls.synchronize(descriptor) == 0 else { throw .system("\(path) cannot be brought to the disk", errno) }
    }

    /// Shortens the file, or extends it with zeros.
    package func truncate(to count: Int) throws(LeafError) {
        guard ftruncate(descriptor, count) == 0 else {
            let code = errno
            throw code == EFBIG
                ? .tooLarge(path, again: again) : .system("\(path) cannot be cut to \(count) bytes", code)
        }
    }

    /// Frees the disk space of whole pages, which then read as zeros.
    package func free(_ range: Range<Int>) throws(LeafError) {
        let result = retrying { checked(calls.free(descriptor, range.lowerBound, range.count)) }
        guard result == 0 else { throw .system("a part of \(path) cannot be freed", -result) }
    }

    /// Whether the file system can do that. Tried on a page after the end, where there is nothing to free.
    package var canFree: Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return leaf_punch_hole(descriptor, Int64(Int(status.st_size).roundedUp(to: 4096)), 4096) == 0
    }

    /// Locks the file against every other process that also locks it, until it is closed.
    ///
    /// - Parameter user: what may be using the file, for the message.
    package func lock(for user: String = "conversion") throws(LeafError) {
        // The process that held the lock may have renamed the file meanwhile.
        guard Self.isLocked(descriptor), isNamed else { throw .inUse(path, by: user) }
    }

    /// Lets other processes have it, though it is open here.
    package func unlock() { _ = flock(descriptor, LOCK_UN) }

    /// Locks what a descriptor leads to, unless another process has it.
    ///
    /// A child that a program starts has all that its parent has, until it begins its own program: so what was given
    /// back a moment ago may be locked for a moment more.
    static func isLocked(_ descriptor: Int32) -> Bool {
        for attempt in 0..<20 {
            if attempt > 0 { usleep(10_000) }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            if errno != EWOULDBLOCK { break }
        }
        return errno != EWOULDBLOCK
    }

    /// Refuses a file that holds anything, for a name that nobody has been asked about.
    ///
    /// - Throws: `.usage`.
    package func requireEmpty() throws(LeafError) {
        guard byteCount == 0 else { throw .wouldBeLost(path) }
    }

    /// Makes a file that loses its name at once, and goes with its owners.
    ///
    /// - Parameter path: an empty file may be there, of a run that was killed before it could take the name away.
    /// - Returns: the same file, to write and to read.
    /// - Throws: `.usage` where something would be lost, `.io`.
    package static func nameless(_ path: String, count: Int = 0) throws(LeafError) -> (OutputFile, InputFile) {
        var output = try OutputFile(path: path)
        try output.lock(for: "run")
        try output.requireEmpty()
        if output.hasOtherNames {
            try FilePath.remove(path)
            output = try OutputFile(path: path)
            try output.lock(for: "run")
        }
        defer { try? FilePath.remove(path) }
        try output.truncate(to: count)
        return (output, try InputFile(path: path))
    }

    /// Gives it another file's owner, as far as the process may, and the rights of that one.
    func setPermissions(_ status: stat) {
        let isOwned = fchown(descriptor, status.st_uid, status.st_gid) == 0
        // Another group gets no rights that were not its own.
        let mask: mode_t = isOwned || getgid() == status.st_gid ? 0o777 : 0o707
        _ = fchmod(descriptor, status.st_mode & mask)
    }

    /// Whether its path still leads to it.
    package var isNamed: Bool {
        var (own, named) = (stat(), stat())
        return fstat(descriptor, &own) == 0 && lstat(path, &named) == 0
            && own.st_ino == named.st_ino && own.st_dev == named.st_dev
    }

    /// Whether hard links of other names lead to it.
    package var hasOtherNames: Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink > 1
    }

    package var byteCount: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Bytes that the file occupies on the disk; holes occupy none.
    package var allocatedBytes: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_blocks) * 512 : 0
    }

    package func dropCache(at offset: Int, count: Int) {
        _ = posix_fadvise(descriptor, offset, count, POSIX_FADV_DONTNEED)
    }
}

/// A folder that one run at a time fills.
///
/// The folder itself is locked: nothing has to be made in it before, and the lock goes with its owner.
package final class FolderLock {
    private let descriptor: Int32

    /// - Throws: `.io` if there is no such folder, or another run fills it.
    package init(_ path: String) throws(LeafError) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("\(path) cannot be opened", errno) }
        // Some network file systems lock no folders. The files in it have locks of their own.
        guard OutputFile.isLocked(descriptor) else { throw .inUse(path, by: "run") }
    }

    deinit { close(descriptor) }
}

extension LeafError {
    /// A file that may not become as large as it would have to: by a limit of the process, or of its file system.
    ///
    /// - Parameter again: what to do when the limit is raised; nil where the caller says it.
    package static func tooLarge(
        _ path: String, again: String? = "run the same command again"
    ) -> LeafError {
        var limit = rlimit()
        // Where the limit cannot be asked for, there is none.
        let isLimited = getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 && limit.rlim_cur < Int.max
        return LeafError(
            .io,
            isLimited
                ? "\(path) would be larger than the limit on the size of a file, \(Int(limit.rlim_cur).diskText) "
                    + "(`ulimit -f`); raise it" + (again.map { " and \($0)" } ?? "")
                : "\(path) would be larger than its file system lets a file be; choose another place",
            systemCode: EFBIG)
    }

    /// A file that nobody has named, where a run would write.
    package static func wouldBeLost(_ path: String) -> LeafError {
        LeafError(
            .usage,
            "\(path) is there already, and what it holds would be lost; move it, or give the result another name")
    }

    package static func notRegular(_ path: String) -> LeafError {
        LeafError(.usage, "\(path) is not a regular file; move it, or give the result another name")
    }

    static func inUse(_ path: String, by user: String) -> LeafError {
        LeafError(.io, "\(path) is in use by another \(user); wait for it to end")
    }
}
