import CSystem
import Glibc

/// A file that any number of threads can read at any offset. It is closed with its last owner.
package final class InputFile: Sendable {
    package let path: String
    /// The size when the file was opened.
    package let byteCount: Int
    /// The time of the last change when the file was opened, in nanoseconds since 1970.
    package let modified: Int
    package let descriptor: Int32
    /// A descriptor of the same file for direct reads; -1 if the file system does not support them.
    private let directDescriptor: Int32

    /// - Throws: `.io` if there is no such file or no permission, `.badInput` if it is not a regular file, `.usage`
    ///   for `-` and for nothing.
    package convenience init(path: String) throws(LeafError) {
        try self.init(path: path, readsPages: false)
    }

    /// - Parameter readsPages: whether `readPages` will be called.
    package init(path: String, readsPages: Bool) throws(LeafError) {
        guard path != "-" else {
            throw LeafError(.usage, "- is standard input, where a file is wanted; name a file")
        }
        guard !path.isEmpty else { throw LeafError(.usage, "the path of a file is an empty text; name a file") }
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
        // Opens through the descriptor, because the path may belong to another file by now.
        directDescriptor =
            readsPages ? open("/proc/self/fd/\(descriptor)", O_RDONLY | O_CLOEXEC | leaf_o_direct) : -1
    }

    deinit {
        close(descriptor)
        if directDescriptor >= 0 { close(directDescriptor) }
    }

    /// Fills `target` with the bytes at `offset`. Continues interrupted and short reads.
    ///
    /// - Throws: `.io` if reading fails or the file ends before `target` is full.
    package func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        var done = 0
        while done < target.count {
            // A single call moves less than 2 GiB.
            let wanted = min(target.count - done, 1 << 30)
            let count = retrying { checked(pread(descriptor, target.baseAddress! + done, wanted, offset + done)) }
            guard count >= 0 else { throw .system("\(path) cannot be read at offset \(offset + done)", Int32(-count)) }
            guard count > 0 else {
                var status = stat()
                let size = fstat(descriptor, &status) == 0 ? Int(status.st_size) : offset + done
                throw LeafError(
                    .io,
                    "\(path) ends at offset \(min(offset + done, size)), before what its tables promise; get the file "
                        + "again")
            }
            done += count
        }
    }

    /// Bytes that `readPages` needs in its target besides the bytes to read.
    package static let pageRoom = 2 * PageMemory.pageBytes

    /// Reads a range that is not needed again soon, and leaves none of it in the page cache.
    ///
    /// - Parameter target: begins at a page, and has `pageRoom` more bytes than the range.
    /// - Returns: the bytes, somewhere in `target`.
    /// - Throws: like `read`.
    package func readPages(
        at offset: Int, count: Int, into target: UnsafeMutableRawBufferPointer
    ) throws(LeafError) -> UnsafeMutableRawBufferPointer {
        let page = PageMemory.pageBytes
        let begin = offset / page * page
        let end = (offset + count).roundedUp(to: page)
        precondition(target.count >= end - begin)
        var done = 0
        while directDescriptor >= 0, begin + done < offset + count {
            let wanted = min(end - begin - done, 1 << 30)
            let moved = retrying { checked(pread(directDescriptor, target.baseAddress! + done, wanted, begin + done)) }
            // If the disk refuses a direct read, the ordinary read below succeeds or reports the error. A direct read
            // that stops within a page cannot be continued.
            guard moved > 0 else { break }
            done += moved
            if done % page != 0 { break }
        }
        if begin + done < offset + count {
            let from = max(offset, begin + done)
            let rest = UnsafeMutableRawBufferPointer(rebasing: target[from - begin..<offset + count - begin])
            try read(at: from, into: rest)
            dropCache(at: from, count: rest.count)
        }
        return UnsafeMutableRawBufferPointer(rebasing: target[offset - begin..<offset + count - begin])
    }

    /// The most that `bytes` reads; larger ranges must be read in pieces.
    private static let maximumBytes = 1 << 30

    /// Reads a range of a few MiB into new memory.
    package func bytes(at offset: Int, count: Int) throws(LeafError) -> [UInt8] {
        guard (0...Self.maximumBytes).contains(count) else {
            throw LeafError(.badInput, "\(path): \(count.sizeText) at offset \(offset) can not be held at once")
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

    /// Tells the kernel to drop cached pages of a range that is not needed again.
    package func dropCache(at offset: Int, count: Int) {
        _ = posix_fadvise(descriptor, offset, count, POSIX_FADV_DONTNEED)
    }
}
