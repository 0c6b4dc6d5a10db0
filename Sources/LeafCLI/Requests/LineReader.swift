import LeafSystem
import Leafcutter

/// Lines of a file, of standard input or of a pipe, one after another: memory holds one line and one piece of the
/// input.
final class LineReader {
    struct Line {
        /// From 1.
        let number: Int
        /// Without the line feed; of a line that is too long the beginning.
        let bytes: ArraySlice<UInt8>
        /// Of all of it.
        let byteCount: Int
        let isTooLong: Bool
    }

    /// Bytes of a line at most.
    var limit: Int
    /// Of the longest line that came.
    private(set) var longestLine = 0

    private let input: InputBytes
    private var pending: [UInt8] = []
    /// What of `pending` was handed out.
    private var consumed = 0
    /// Bytes of a line that is too long which were passed.
    private var passed = 0
    private var number = 0
    private var isAtEnd = false

    /// - Parameters:
    ///   - path: `-` is standard input.
    ///   - limit: bytes of a line at most.
    /// - Throws: `.io` if it cannot be opened, `.badInput` for a directory.
    init(path: String, limit: Int) throws(LeafError) {
        input = try InputBytes(path: path)
        self.limit = limit
    }

    var name: String { input.name }
    var isRepeatable: Bool { input.isRepeatable }
    var isTerminal: Bool { input.isTerminal }

    /// The next line. Lines end with `\n` alone; the last one may lack it.
    ///
    /// - Parameter milliseconds: how long to wait for it; -1 for as long as it takes.
    /// - Throws: `.io` when reading fails, `.cancelled` after a signal: an input that never rests must not hide it.
    func next(waiting milliseconds: Int32 = -1) throws(LeafError) -> Arrival<Line> {
        var searched = consumed
        while true {
            try Interrupt.shared.check()
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) { return .value(take(upTo: end, 1)) }
            if isAtEnd { return pending.count > consumed ? .value(take(upTo: pending.count, 0)) : .end }
            pending.removeFirst(consumed)
            consumed = 0
            // What is too long is passed without being kept.
            if pending.count > limit {
                passed += pending.count - limit - 1
                pending.removeLast(pending.count - limit - 1)
            }
            searched = pending.count
            guard let piece = try input.next(waiting: milliseconds) else { return .later }
            isAtEnd = piece.isEmpty
            pending += piece
        }
    }

    /// As `InputBytes` does.
    func keep(atMost most: Int) { input.keep(atMost: most) }
    var keptBytes: Int { input.keptBytes }

    /// Begins again. Only what `isRepeatable` or kept can do it.
    func rewind() {
        input.rewind()
        (consumed, passed, number, isAtEnd) = (0, 0, 0, false)
        pending.removeAll()
    }

    private func take(upTo end: Int, _ separator: Int) -> Line {
        number += 1
        let bytes = pending[consumed..<end]
        longestLine = max(longestLine, min(bytes.count, limit))
        consumed = end + separator
        defer { passed = 0 }
        return Line(
            number: number, bytes: bytes.prefix(limit), byteCount: bytes.count + passed,
            isTooLong: bytes.count > limit)
    }
}

extension LineReader.Line {
    /// Whether it holds nothing to read.
    var isBlank: Bool { !isTooLong && bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }

    /// The line as a text of a plain list, which may have been written on Windows.
    ///
    /// - Throws: `.badInput` if it is not UTF-8.
    func plainText() throws(LeafError) -> String {
        let text = try text()
        return text.utf8.last == 0x0D ? String(text.unicodeScalars.dropLast()) : text
    }

    /// The line as a text.
    ///
    /// - Throws: `.badInput` if it is not UTF-8.
    func text() throws(LeafError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LeafError(.badInput, "it is not valid UTF-8; convert it first")
        }
        return text
    }
}
