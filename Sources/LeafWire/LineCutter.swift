import LeafSystem

/// Cuts the pieces of a text into lines: memory holds one line and one piece.
///
/// Lines end with `\n` alone; the last one may lack it.
package struct LineCutter {
    package struct Line {
        /// From 1.
        package let number: Int
        /// Where it begins, in bytes of the text.
        package let offset: Int
        /// Without the line feed; of a line that is too long the beginning.
        package let bytes: ArraySlice<UInt8>
        /// Of all of it.
        package let byteCount: Int
        package let isTooLong: Bool

        /// Whether it holds nothing to read. Of one that is too long nobody knows the rest.
        package var isBlank: Bool { !isTooLong && bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
    }

    /// Bytes of a line at most.
    package var limit: Int
    /// Of the longest line that came.
    package private(set) var longestLine = 0

    /// Bytes that came and were not handed out; `consumed` of them were.
    private var pending: [UInt8] = []
    private var consumed = 0
    /// Before it, no line feed is in what was not handed out.
    private var searched = 0
    /// Of the line that comes next.
    private var number = 0
    private var offset: Int
    /// Bytes of that line which were not kept.
    private var passed = 0

    /// - Parameters:
    ///   - limit: bytes of a line at most.
    ///   - offset: of the first byte; lines are counted from there.
    package init(limit: Int, offset: Int = 0) { (self.limit, self.offset) = (limit, offset) }

    /// Takes the next bytes of the text, once `next` has no more lines.
    package mutating func add(_ piece: [UInt8]) {
        pending.removeFirst(consumed)
        consumed = 0
        // What is too long is passed without being kept.
        if pending.count > limit {
            passed += pending.count - limit - 1
            pending.removeLast(pending.count - limit - 1)
        }
        searched = pending.count
        pending += piece
    }

    /// The next line that has ended; nil where more bytes are needed.
    package mutating func next() -> Line? {
        guard let end = pending[max(searched, consumed)...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        return take(upTo: end, 1)
    }

    /// The line that no line feed ends, behind the last one that does; nil if there is none.
    package mutating func rest() -> Line? { pending.count > consumed ? take(upTo: pending.count, 0) : nil }

    /// Begins again with the text's first byte.
    package mutating func restart() {
        (consumed, searched, number, offset, passed) = (0, 0, 0, 0, 0)
        pending.removeAll()
    }

    private mutating func take(upTo end: Int, _ separator: Int) -> Line {
        number += 1
        let bytes = pending[consumed..<end]
        longestLine = max(longestLine, min(bytes.count, limit))
        let line = Line(
            number: number, offset: offset, bytes: bytes.prefix(limit), byteCount: bytes.count + passed,
            isTooLong: bytes.count > limit)
        offset += line.byteCount + separator
        consumed = end + separator
        passed = 0
        return line
    }
}
