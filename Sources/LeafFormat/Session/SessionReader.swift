package import LeafSystem

/// Reads the contents of a session in the order in which they were written. It gives out no byte of a frame before it
/// has checked the frame's digest.
package final class SessionReader {
    private let file: InputFile
    private let contents: PageMemory
    private let frame: PageMemory
    private var offset = 0
    private var number: UInt32 = 0
    private var isLast = false
    /// The unread rest of the current frame.
    private var rest: Range<Int> = 0..<0

    /// - Throws: `.badInput` if the file is no session, or has a version that this program does not know.
    package init(_ file: InputFile) throws(LeafError) {
        self.file = file
        contents = try PageMemory(count: SessionFrame.roomBytes)
        frame = try PageMemory(count: SessionFrame.roomBytes)
        let start = try file.bytes(at: 0, count: min(12, file.byteCount))
        guard start.count == 12, start.starts(with: SessionFrame.magic) else {
            throw LeafError(.badInput, "\(file.path) is not a session; give another file, or remove it")
        }
        let version = start[8...].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard version == SessionFrame.version else {
            throw LeafError(
                .badInput,
                "\(file.path) is a session of format version \(version), this Leafcutter reads "
                    + "\(SessionFrame.version); use the Leafcutter that saved it, or begin another session")
        }
    }

    /// Whether a file begins as one does.
    package static func isSession(_ file: InputFile) -> Bool {
        let start = try? file.bytes(at: 0, count: min(SessionFrame.magic.count, file.byteCount))
        return start.map { $0.elementsEqual(SessionFrame.magic) } ?? false
    }

    /// For messages.
    package var path: String { file.path }

    /// The error for contents that no program writes.
    package var damage: LeafError {
        LeafError(
            .badInput, "\(file.path): the session is damaged near offset \(offset); remove it, or give another file")
    }

    package func read(into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        var done = 0
        while done < target.count {
            if rest.isEmpty { try readFrame() }
            let part = rest.prefix(target.count - done)
            UnsafeMutableRawBufferPointer(rebasing: target[done...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: contents.bytes[part]))
            done += part.count
            rest = part.upperBound..<rest.upperBound
        }
    }

    package func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(LeafError) -> Value {
        var value = Value.zero
        try withUnsafeMutableBytes(of: &value) { (bytes) throws(LeafError) in try read(into: bytes) }
        return Value(littleEndian: value)
    }

    package func double() throws(LeafError) -> Double { Double(bitPattern: try integer()) }

    /// The number of elements that follow.
    package func count(atMost most: Int) throws(LeafError) -> Int {
        let count = Int(try integer(UInt32.self))
        guard count <= most else { throw damage }
        return count
    }

    package func ids(atMost most: Int) throws(LeafError) -> [Int32] {
        var ids: [Int32] = []
        for _ in 0..<(try count(atMost: most)) { ids.append(try integer()) }
        return ids
    }

    /// So many ids, whose count was read.
    ///
    /// - Parameter kept: the most that are kept, for which the caller has memory; the others are read over.
    package func ids(count: Int, keeping kept: Int) throws(LeafError) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(min(count, kept))
        for number in 0..<count {
            let id: Int32 = try integer()
            if number < kept { ids.append(id) }
        }
        return ids
    }

    package func text(atMost most: Int) throws(LeafError) -> String { try text(count: count(atMost: most)) }

    /// A text of so many bytes, whose count was read; twice that is needed while it is made.
    package func text(count: Int) throws(LeafError) -> String {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBufferPointer { (bytes) throws(LeafError) in
            try read(into: UnsafeMutableRawBufferPointer(bytes))
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw damage }
        return text
    }

    /// Reads over so many bytes.
    package func skip(_ count: Int) throws(LeafError) {
        var left = count
        while left > 0 {
            if rest.isEmpty { try readFrame() }
            let part = min(left, rest.count)
            rest = (rest.lowerBound + part)..<rest.upperBound
            left -= part
        }
    }

    /// Reads over all that is left.
    package func skipRest() throws(LeafError) {
        while !isLast { try readFrame() }
        rest = 0..<0
        try finish()
    }

    /// - Throws: `.badInput` if anything follows.
    package func finish() throws(LeafError) {
        while rest.isEmpty, !isLast { try readFrame() }
        guard rest.isEmpty, offset == file.byteCount else { throw damage }
    }

    private func readFrame() throws(LeafError) {
        guard !isLast else { throw damage }
        let page = PageMemory.pageBytes
        guard file.byteCount - offset >= page else { throw cutOff }
        try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: frame.bytes[0..<page]))
        guard let header = SessionFrame(header: UnsafeRawBufferPointer(frame.bytes)), header.number == number else {
            throw damage
        }
        guard header.paddedBytes <= file.byteCount - offset else { throw cutOff }
        try file.read(
            at: offset + page, into: UnsafeMutableRawBufferPointer(rebasing: frame.bytes[page..<header.paddedBytes]))
        // A session may have gigabytes, which must not stay in the page cache.
        file.dropCache(at: offset, count: header.paddedBytes)
        guard header.isWhole(frame.bytes), unpack(header) else { throw damage }
        offset += header.paddedBytes
        number += 1
        isLast = header.isLast
        rest = 0..<header.rawBytes
    }

    private func unpack(_ header: SessionFrame) -> Bool {
        let begin = SessionFrame.headerBytes
        let stored = UnsafeRawBufferPointer(rebasing: frame.bytes[begin..<(begin + header.storedBytes)])
        let raw = UnsafeMutableRawBufferPointer(rebasing: contents.bytes[0..<header.rawBytes])
        if header.storedBytes < header.rawBytes { return LZ4Codec.decompress(stored, into: raw) }
        raw.copyMemory(from: stored)
        return true
    }

    private var cutOff: LeafError {
        LeafError(
            .badInput,
            "\(file.path): the session is cut off at \(file.byteCount.diskText); remove it, or give another file")
    }
}
