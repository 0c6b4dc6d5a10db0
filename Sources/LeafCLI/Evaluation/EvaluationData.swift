import LeafFormat
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
    ) throws(LeafError) -> (id: JSON, item: Item)? {
        reading: while left > 0 {
            let line: LineReader.Line
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

    private static func entry(_ line: LineReader.Line) throws(LeafError) -> (id: JSON, item: Item) {
        guard !line.isTooLong else {
            throw LeafError(.usage, "it is longer than \(ByteCount(bytes: WireRequest.byteLimit))")
        }
        var id: RequestID?
        var json = JSONReader(line.bytes)
        try json.fields { name, json throws(LeafError) in
            if name == "id" { id = try RequestID(&json) } else { try json.skip() }
        }
        try json.end()
        let item = try JSONReader.decode(Item.self, from: line.bytes)
        return (id?.json ?? .integer(line.number), item)
    }
}

/// What a data file needs, found before a model is opened. It also validates every line, and leaves the file at its
/// beginning.
struct DataSurvey {
    private(set) var demands: DemandSurvey
    private(set) var items = 0
    /// The number of items with a target.
    private(set) var wanted = 0
    /// The number of items whose beginning is cut away.
    private(set) var cut = 0
    /// Bytes that items under way, a line that is read, and their answers take.
    private(set) var bytes = 0

    init<Task: EvaluationTask>(
        _ task: Task, _ form: EvaluationForm, _ lines: inout DataLines<Task.Item>, batch: Int, _ file: ModelFile,
        _ terminal: Terminal
    ) throws(LeafError) {
        demands = DemandSurvey(sequences: batch)
        var texts: EvaluationTexts<Task.Request>?
        while let line = try lines.next(check: { item throws(LeafError) in
            let asked = try task.texts(of: item, in: form)
            for request in asked.requests { try request.validate(for: file.configuration) }
            texts = asked
        }) {
            try terminal.interrupt.check()
            items += 1
            if line.item.wanted != nil { wanted += 1 }
            if texts?.isCut == true { cut += 1 }
            for request in texts?.requests ?? [] { demands.add(request.demand(in: file.configuration)) }
            terminal.progress.show("reading: \(Quantity.count(items, "item"))")
        }
        let room = AnswerRoom.generation(tokens: demands.longest, samples: 1, logprobs: nil)
        let needed =
            2 << 16 +| 20 *| lines.longestLine +| 2 *| batch *| (2 *| lines.longestLine +| room.held)
            +| room.written +| lines.keptBytes
        bytes = needed
        lines.rewind()
    }
}
