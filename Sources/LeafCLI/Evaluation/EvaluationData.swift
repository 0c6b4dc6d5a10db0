import Leafcutter

/// The items of a data file and their ids, as many as are wanted.
struct DataLines<Item: EvaluationItem> {
    struct Line: Decodable {
        private enum Name: CodingKey { case id }

        let id: JSONText?
        let item: Item

        init(from decoder: any Decoder) throws {
            id = try decoder.container(keyedBy: Name.self).decodeIfPresent(RequestLine.ID.self, forKey: .id)?.json
            item = try Item(from: decoder)
        }
    }

    private var lines: JSONLines
    private var left: Int

    init(_ lines: JSONLines, limit: Int?) {
        self.lines = lines
        left = limit ?? .max
    }

    /// - Parameter check: what else a line has to stand.
    mutating func next(
        check: (Item) throws(LeafError) -> Void = { _ in }
    ) throws(LeafError) -> (id: JSONText, item: Item)? {
        guard left > 0 else { return nil }
        left -= 1
        return try lines.next { line throws(LeafError) in
            let parsed: Line = try line.decode()
            try check(parsed.item)
            return (parsed.id ?? .integer(line.number), parsed.item)
        }
    }
}

/// What a data file asks for, found out before a model is opened: every line is known to make sense then.
struct DataSurvey {
    private(set) var demands: DemandSurvey
    private(set) var items = 0
    /// Items that say what is wanted.
    private(set) var wanted = 0
    /// Items whose beginning is cut away.
    private(set) var cut = 0

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
            items += 1
            if line.item.wanted != nil { wanted += 1 }
            if texts?.isCut == true { cut += 1 }
            for request in texts?.requests ?? [] { demands.add(request.demand(in: file.configuration)) }
            terminal.progress.show("reading: \(Quantity.count(items, "item"))")
        }
    }
}
