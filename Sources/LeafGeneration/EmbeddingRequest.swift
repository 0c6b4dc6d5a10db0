public import CPMAntShape
public import LeafExecutor
public import LeafSystem

/// How the hidden states of a text become the answer.
public enum Pooling: String, Sendable, CaseIterable {
    /// The mean of the states of the text's tokens, `<s>` included.
    case mean
    /// The state of the last token, which has seen the whole text.
    case last
    /// All states, unchanged.
    case none
}

/// A request for the hidden states of a text.
public struct EmbeddingRequest: Sendable {
    public var text: PromptRows
    public var pooling: Pooling

    public init(text: PromptRows, pooling: Pooling = .mean) {
        self.text = text
        self.pooling = pooling
    }

    /// - Throws: `.usage` if the request is invalid for this model.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try text.validate(for: configuration)
        guard !text.ids.isEmpty else {
            throw LeafError(.usage, "the text has no ids; give at least <s> (6)", field: "prompt")
        }
    }

    /// Bytes of the answer, and of the sums that it is made from.
    package static func answerBytes(tokens: Int, _ pooling: Pooling, in configuration: ModelConfiguration) -> Int {
        (MemoryLayout<Double>.stride + MemoryLayout<Float>.stride) *| (pooling == .none ? tokens : 1)
            *| configuration.dimModel
    }

    /// The demand of the request: one sweep, and no logits.
    public func demand(in configuration: ModelConfiguration) -> Demand {
        .oneSweep(
            rows: text.length(in: configuration), logitRows: 0,
            answerBytes: Self.answerBytes(tokens: text.ids.count, pooling, in: configuration))
    }
}

extension EmbeddingRequest: OneSweepRequest {
    /// `[dimModel]` numbers, or `[tokens, dimModel]` without pooling.
    public typealias Answer = [Float]
    public var work: RequestWork<[Float]> { oneSweepWork }

    package func rows(of sequence: SequenceID, in configuration: ModelConfiguration) -> [RowBatch.Row] {
        var rows = text.rows(of: sequence, in: configuration) { _ in false }
        let wanted = pooling == .last ? 1 : text.ids.count
        for index in rows.indices.suffix(wanted) { rows[index].wantsHiddenState = true }
        return rows
    }

    /// Sums in double precision, so that means of long texts lose nothing.
    package struct Partial {
        fileprivate var numbers: [Double]
        /// The number of states in each sum.
        fileprivate var states: Int
    }

    package func begin(in configuration: ModelConfiguration) -> Partial {
        let (vectors, states) =
            switch pooling {
            case .mean: (1, text.ids.count)
            case .last: (1, 1)
            case .none: (text.ids.count, 1)
            }
        return Partial(numbers: Array(repeating: 0, count: vectors * configuration.dimModel), states: states)
    }

    package func read(
        _ row: LogitsRow, at index: Int, into partial: inout Partial, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        let hidden = row.model.finalHiddenState(ofRow: row.number)
        let first = pooling == .none ? index * hidden.count : 0
        for column in hidden.indices { partial.numbers[first + column] += Double(hidden[column]) }
    }

    package func answer(_ partial: Partial) -> [Float] {
        partial.numbers.map { Float($0 / Double(partial.states)) }
    }
}
