public import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// One input of the `logits` command: either a text as generation reads it, or every array of CPM-Live's `inference`.
public struct LogitsCase: Sendable, Equatable, Decodable {
    public var id: String
    /// Text form: ids; the soft prompt is put in front.
    public var inputIDs: [Int32]?
    public var task: Int?
    /// Full form: `promptLength` rows of the soft-prompt table, then ids.
    public var input: [Int32]?
    /// The number of text tokens. If it is less than the ids, there is padding between the soft prompt and the text.
    public var length: Int?
    public var context: [Int]?
    public var span: [Int32]?
    /// One number in the text form; one for each row in the full form.
    public var segments: [Int]

    private enum CodingKeys: String, CodingKey {
        case id, task, input, length, context, span, segment
        case inputIDs = "input_ids"
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        id = try values.decode(String.self, forKey: .id)
        inputIDs = try values.decodeIfPresent([Int32].self, forKey: .inputIDs)
        task = try values.decodeIfPresent(Int.self, forKey: .task)
        input = try values.decodeIfPresent([Int32].self, forKey: .input)
        length = try values.decodeIfPresent(Int.self, forKey: .length)
        context = try values.decodeIfPresent([Int].self, forKey: .context)
        span = try values.decodeIfPresent([Int32].self, forKey: .span)
        segments =
            if let one = try? values.decode(Int.self, forKey: .segment) { [one] } else {
                try values.decodeIfPresent([Int].self, forKey: .segment) ?? []
            }
    }

    /// Makes a case of the text form.
    public init(id: String, inputIDs: [Int32], task: Int = 2, segment: Int = 2) {
        self.id = id
        self.inputIDs = inputIDs
        self.task = task
        segments = [segment]
    }

    /// Makes a case of the full form.
    public init(id: String, input: [Int32], length: Int, context: [Int], segment: [Int], span: [Int32]) {
        self.id = id
        self.input = input
        self.length = length
        self.context = context
        self.span = span
        segments = segment
    }

    /// The number of rows of its sweep, soft prompt included.
    public func rowCount(in configuration: ModelConfiguration) -> Int {
        input?.count ?? configuration.promptLength + (inputIDs?.count ?? 0)
    }

    /// - Throws: `.usage` if arrays are missing, differ in length, or hold numbers that the model does not have.
    package func rows(
        of sequence: SequenceID, in configuration: ModelConfiguration, lastOnly: Bool, only: Range<Int>? = nil,
        tuning: (_ task: Int) -> TextTuning = { _ in TextTuning() }
    ) throws(LeafError) -> [RowBatch.Row] {
        switch try form(in: configuration) {
        case .text(var text):
            text.tuning = tuning(text.task)
            let last = text.ids.count - 1
            return text.rows(of: sequence, in: configuration) {
                lastOnly ? $0 == last : only?.contains($0) ?? true
            }
        case .full(let full):
            let count = full.input.count - configuration.promptLength
            let wanted = lastOnly ? count - 1..<count : only ?? 0..<count
            var rows = full.rows(of: sequence, promptLength: configuration.promptLength, wanted: wanted)
            // The full form gives its soft-prompt rows one by one.
            for row in rows.indices { rows[row].adapter = tuning(2).adapter }
            return rows
        }
    }

    /// - Throws: as `rows` does.
    func validate(for configuration: ModelConfiguration) throws(LeafError) { _ = try form(in: configuration) }

    private enum Form {
        case text(PromptRows)
        case full(FullForm)
    }

    private func form(in configuration: ModelConfiguration) throws(LeafError) -> Form {
        guard let inputIDs else { return .full(try fullForm(in: configuration)) }
        let given: [(name: String, isGiven: Bool)] = [
            ("input", input != nil), ("length", length != nil), ("context", context != nil), ("span", span != nil),
        ]
        if let other = given.first(where: \.isGiven) {
            throw LeafError(
                .usage,
                "case '\(id)' has input_ids and '\(other.name)', which belongs to the full form; give one, not both")
        }
        guard segments.count <= 1, !inputIDs.isEmpty else {
            throw LeafError(
                .usage, "case '\(id)' needs ids in input_ids and one segment; or use the full form with 'input'")
        }
        return .text(
            try PromptRows(ids: inputIDs, task: task ?? 2, segment: segments.first ?? 2, for: configuration))
    }

    private func fullForm(in configuration: ModelConfiguration) throws(LeafError) -> FullForm {
        guard let input, let length, let context, let span else {
            throw LeafError(.usage, "case '\(id)' needs input_ids, or all of input, length, context, segment and span")
        }
        let count = input.count
        let promptLength = configuration.promptLength
        guard context.count == count, segments.count == count, span.count == count else {
            throw LeafError(.usage, "case '\(id)': input, context, segment and span must be of one length")
        }
        guard count > promptLength, (0...count - promptLength).contains(length) else {
            throw LeafError(
                .usage,
                "case '\(id)': input must hold \(promptLength) soft prompt rows and text, "
                    + "and length must count the text's tokens"
            )
        }
        if let segment = segments.first(where: { !(0..<configuration.segmentTypes).contains($0) }) {
            throw LeafError(
                .usage,
                "case '\(id)': segment \(segment) is outside this model's (0 to \(configuration.segmentTypes - 1))")
        }
        return FullForm(input: input, length: length, context: context, span: span, segments: segments)
    }
}

/// Every array of CPM-Live's `inference`, of one length.
private struct FullForm {
    let input: [Int32]
    let length: Int
    let context: [Int]
    let span: [Int32]
    let segments: [Int]

    /// - Parameter wanted: rows after the soft prompt whose logits are wanted.
    func rows(of sequence: SequenceID, promptLength: Int, wanted: Range<Int>) -> [RowBatch.Row] {
        let count = input.count
        return (0..<count).map { row in
            RowBatch.Row(
                input: row < promptLength ? .softPrompt(input[row]) : .token(input[row]), sequence: sequence,
                index: Int32(row), segment: Int32(segments[row]), span: span[row], isContext: context[row] != 0,
                isPadding: row >= promptLength && count - 1 - row >= length,
                wantsLogits: wanted.contains(row - promptLength))
        }
    }
}
