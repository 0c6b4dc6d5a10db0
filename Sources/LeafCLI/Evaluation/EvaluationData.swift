import FoundationEssentials
import LeafSystem
import LeafWire
import Leafcutter

/// Reads the items of a data file and their ids, up to a limit.
struct DataLines<Item: EvaluationItem> {
    private let reader: LineReader
    private var left: Int
    private var isEmpty = true
    /// Bytes of the longest line that came.
    var longestLine: Int { reader.longestLine }

    /// - Throws: `.io`, and `.usage` for what can be read but once.
    init(path: String, limit: Int?) throws(LeafError) {
        reader = try LineReader(path: path, limit: WireRequest.byteLimit)
        left = limit ?? .max
        guard reader.isRepeatable else {
            throw LeafError(
                .usage, "\(reader.name) is read twice, so it has to be a file; write the lines to one first")
        }
    }

    /// - Parameter check: a further check of each line.
    /// - Throws: `.usage` naming a line that makes no sense, or a file without any.
    mutating func next(
        check: (Item) throws(LeafError) -> Void = { _ in }
    ) throws(LeafError) -> (id: JSON, item: Item)? {
        while left > 0, case .line(let line) = try reader.next() {
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
        do {
            let item = try JSONDecoder().decode(Item.self, from: Data(line.bytes))
            return (id?.json ?? .integer(line.number), item)
        } catch {
            throw error as? LeafError ?? LeafError(.usage, "\(DecodingProblem(error))")
        }
    }
}

/// What a data file needs, found before a model is opened. It also validates every line.
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
        _ task: Task, _ form: EvaluationForm, _ lines: DataLines<Task.Item>, batch: Int, _ file: ModelFile,
        _ terminal: Terminal
    ) throws(LeafError) {
        demands = DemandSurvey(sequences: batch)
        var lines = lines
        var texts: EvaluationTexts<Task.Request>?
        while let line = try lines.next(check: { item throws(LeafError) in
            let asked = try task.texts(of: item, in: form)
            for request in asked.requests { try request.validate(for: file.configuration) }
            texts = asked
        }) {
            guard !terminal.interrupt.isRequested else { throw LeafError(.cancelled, "interrupted") }
            items += 1
            if line.item.wanted != nil { wanted += 1 }
            if texts?.isCut == true { cut += 1 }
            for request in texts?.requests ?? [] { demands.add(request.demand(in: file.configuration)) }
            terminal.progress.show("reading: \(Quantity.count(items, "item"))")
        }
        let room = AnswerRoom.generation(tokens: demands.longest, samples: 1, logprobs: nil)
        let needed =
            2 << 16 +| 20 *| lines.longestLine +| 2 *| batch *| (2 *| lines.longestLine +| room.held)
            +| room.written
        bytes = needed
    }
}
