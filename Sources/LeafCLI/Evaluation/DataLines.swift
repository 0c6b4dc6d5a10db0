import LeafSystem
import LeafWire
import Leafcutter

/// Reads the items of a data file and their ids, up to a limit, twice.
struct DataLines<Item: EvaluationItem> {
    private let reader: LineReader
    private let interrupt: Interrupt
    private let limit: Int
    private var left: Int
    private var isEmpty = true
    /// Bytes of the longest line that came.
    var longestLine: Int { reader.longestLine }

    /// Bytes that are kept of what can be read but once.
    var keptBytes: Int { reader.keptBytes }

    /// - Parameter mostKept: how much may be kept of what can be read but once, in bytes.
    /// - Throws: `.io` if it cannot be opened, and what `mostKept` throws.
    init(
        path: String, limit: Int?, _ terminal: Terminal, mostKept: () throws(LeafError) -> Int
    ) throws(LeafError) {
        reader = try LineReader(path: path, limit: WireRequest.byteLimit)
        interrupt = terminal.interrupt
        self.limit = limit ?? .max
        left = self.limit
        if !reader.isRepeatable { reader.keep(atMost: try mostKept()) }
        if reader.isTerminal { terminal.note("reading lines; Ctrl-D ends them") }
    }

    /// Begins again.
    mutating func rewind() {
        reader.rewind()
        left = limit
    }

    /// - Parameter check: a further check of each line.
    /// - Throws: `.usage` naming a line that makes no sense, or a file without any; `.cancelled` after an interruption
    ///   of waiting.
    mutating func next(
        check: (Item) throws(LeafError) -> Void = { _ in }
    ) throws(LeafError) -> EvaluationInput<Item>? {
        reading: while left > 0 {
            let line: LineCutter.Line
            switch try reader.next(waiting: 100) {
            case .value(let next): line = next
            case .later:
                try interrupt.check()
                continue
            case .end: break reading
            }
            guard !line.isBlank else { continue }
            isEmpty = false
            left -= 1
            do throws(LeafError) {
                let entry = try Self.entry(line)
                try check(entry.item)
                return entry
            } catch {
                throw LeafError(.usage, "\(reader.name), line \(line.number): \(error)")
            }
        }
        guard !isEmpty else {
            throw LeafError(.usage, "\(reader.name) holds no requests; give one JSON object a line")
        }
        return nil
    }

    private static func entry(_ line: LineCutter.Line) throws(LeafError) -> EvaluationInput<Item> {
        guard !line.isTooLong else {
            throw LeafError(.usage, "it is longer than \(ByteCount(bytes: WireRequest.byteLimit))")
        }
        return try EvaluationInput(json: line.bytes, number: line.number)
    }
}
