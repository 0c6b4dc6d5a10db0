import LeafSystem
import LeafWire
import Leafcutter

/// Lines of a file, of standard input or of a pipe, one after another: memory holds one line and one piece of the
/// input.
final class LineReader {
    private let input: InputBytes
    private var cutter: LineCutter
    private var isAtEnd = false

    /// - Parameters:
    ///   - path: `-` is standard input.
    ///   - limit: bytes of a line at most.
    /// - Throws: `.io` if it cannot be opened, `.badInput` for a directory.
    init(path: String, limit: Int) throws(LeafError) {
        input = try InputBytes(path: path)
        cutter = LineCutter(limit: limit)
    }

    /// Bytes of a line at most.
    var limit: Int {
        get { cutter.limit }
        set { cutter.limit = newValue }
    }
    /// Of the longest line that came.
    var longestLine: Int { cutter.longestLine }
    var name: String { input.name }
    var isRepeatable: Bool { input.isRepeatable }
    var isTerminal: Bool { input.isTerminal }

    /// The next line.
    ///
    /// - Parameter milliseconds: how long to wait for it; -1 for as long as it takes.
    /// - Throws: `.io` when reading fails, `.cancelled` after a signal: an input that never rests must not hide it.
    func next(waiting milliseconds: Int32 = -1) throws(LeafError) -> Arrival<LineCutter.Line> {
        while true {
            try Interrupt.shared.check()
            if let line = cutter.next() { return .value(line) }
            if isAtEnd { return cutter.rest().map { .value($0) } ?? .end }
            guard let piece = try input.next(waiting: milliseconds) else { return .later }
            isAtEnd = piece.isEmpty
            cutter.add(piece)
        }
    }

    /// As `InputBytes` does.
    func keep(atMost most: Int) { input.keep(atMost: most) }
    var keptBytes: Int { input.keptBytes }

    /// Begins again. Only what `isRepeatable` or kept can do it.
    func rewind() {
        input.rewind()
        isAtEnd = false
        cutter.restart()
    }
}

extension LineCutter.Line {
    /// The line as a text of a plain list, which may have been written on Windows: with a mark of UTF-8 in front, and
    /// carriage returns.
    ///
    /// - Throws: `.badInput` if it is not UTF-8.
    func plainText() throws(LeafError) -> String {
        var scalars = try text().unicodeScalars[...]
        if offset == 0, scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        if scalars.last == "\r" { scalars.removeLast() }
        return String(scalars)
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
