internal import Glibc

/// Why a read failed, before the caller adds which bytes were read.
package enum ReadFailure: Error {
    /// The file ends at this byte.
    case ends(at: Int)
    /// The system's `errno`.
    case system(Int32)

    /// The reason, in a few words.
    package var reason: String {
        switch self {
        case .ends(let byte): "the file ends at byte \(byte)"
        case .system(let code): LeafError.reason(of: code)
        }
    }

    /// The reason and the remedy, to follow the name of the file and the bytes.
    package var sentence: String {
        switch self {
        case .ends:
            "\(reason), before the end that its table gives; copy it or make it again"
        case .system(let code):
            "\(reason); " + (LeafError.remedy(for: code) ?? "check the disk, then copy the file or make it again")
        }
    }
}

/// What changes when somebody writes to a file by the usual calls. Writing through a mapping may change it later, and
/// whoever sets the time back hides it.
package struct FileStamp: Equatable, Sendable {
    package var byteCount: Int
    /// Nanoseconds since 1970.
    package var modified: Int

    package init(byteCount: Int, modified: Int) {
        self.byteCount = byteCount
        self.modified = modified
    }
}

/// A file open for reading, through the page cache or past it. Closes itself.
package final class ReadableFile: Sendable {
    /// The page cache that one buffered read may use. It is freed after every such piece.
    package static let bufferedPieceBytes = 256 << 10

    package let path: String
    package let isDirect: Bool
    let descriptor: Int32
    private let system: SystemCalls
    /// Of the file when it was opened.
    private let stamp: FileStamp?

    /// - Throws: the `errno` of opening, as `ReadFailure.system`.
    package init(path: String, direct: Bool, system: SystemCalls) throws(ReadFailure) {
        let descriptor = system.open(path, direct)
        guard descriptor >= 0 else { throw .system(-descriptor) }
        self.path = path
        self.isDirect = direct
        self.descriptor = descriptor
        self.system = system
        stamp = system.stamp(descriptor)
        if !direct { _ = system.adviseFile(descriptor, 0, 0, .random) }
    }

    deinit { system.close(descriptor) }

    /// Opens a file for direct reads, and reads its page at `offset`, because some file systems refuse only then.
    package static func direct(path: String, probing offset: Int, system: SystemCalls) throws(ReadFailure)
        -> ReadableFile
    {
        let file = try ReadableFile(path: path, direct: true, system: system)
        guard let page = try? PageMemory(count: PageMemory.pageBytes, system: system) else { throw .system(ENOMEM) }
        try file.fill(page.bytes, from: offset)
        return file
    }

    /// Whether nobody has written to the file since it was opened, as far as its size and its time tell.
    package var isUnchanged: Bool {
        guard let stamp, let now = system.stamp(descriptor) else { return true }
        return now == stamp
    }

    package func size() throws(ReadFailure) -> Int {
        let size = system.size(descriptor)
        guard size >= 0 else { throw .system(Int32(-size)) }
        return size
    }

    /// Reads exactly `target.count` bytes, in as many calls as that takes.
    ///
    /// For a direct file, address, offset and count must be multiples of a page.
    package func fill(_ target: UnsafeMutableRawBufferPointer, from offset: Int) throws(ReadFailure) {
        guard let base = target.baseAddress else { return }
        assert(!isDirect || (Int(bitPattern: base) | offset | target.count) % PageMemory.pageBytes == 0)
        var done = 0
        defer { if !isDirect { forget(from: offset, count: done) } }
        while done < target.count {
            let piece = isDirect ? target.count - done : min(Self.bufferedPieceBytes, target.count - done)
            let moved = retrying { system.read(descriptor, base + done, piece, offset + done) }
            guard moved >= 0 else { throw .system(Int32(-moved)) }
            // The next direct read must again begin at a multiple of the alignment.
            let kept = isDirect ? moved / PageMemory.pageBytes * PageMemory.pageBytes : moved
            guard kept > 0 else { throw .ends(at: end(ifReadTo: offset + done + moved)) }
            done += kept
            if !isDirect, done < target.count { forget(from: offset, count: done) }
        }
    }

    /// Where the file ends of which nothing more could be read: before the place that was asked for, perhaps.
    private func end(ifReadTo place: Int) -> Int {
        guard let size = try? size() else { return place }
        return min(place, size)
    }

    /// Drops the pages of a range from the page cache, including pages that it covers only in part.
    package func forget(from offset: Int, count: Int) {
        let start = offset / PageMemory.pageBytes * PageMemory.pageBytes
        let end = (offset + count + PageMemory.pageBytes - 1) / PageMemory.pageBytes * PageMemory.pageBytes
        if end > start { _ = system.adviseFile(descriptor, start, end - start, .dontNeed) }
    }
}
