public import CPMAntShape
public import LeafExecutor
public import LeafSystem

/// A request for the probability of one text after another.
public struct ScoreRequest: Sendable {
    /// The text before the target. Every position sees it, like a prompt.
    public var context: PromptRows
    /// The tokens to score. Each sees the context and the tokens before it, and nothing that it is scored for.
    public var target: [Int32]
    /// The tokens of the target that are scored, where a model has room for fewer rows of logits; nil for all.
    package var part: Range<Int>?

    public init(context: PromptRows, target: [Int32]) {
        self.context = context
        self.target = target
    }

    /// - Throws: `.usage` if the request is invalid for this model.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try context.validate(for: configuration)
        guard !context.ids.isEmpty else {
            throw LeafError(.usage, "the context has no ids; give at least <s> (6)", field: "context")
        }
        guard !target.isEmpty else {
            throw LeafError(.usage, "the target has no ids; give at least one", field: "target")
        }
        if let id = target.first(where: { $0 < 0 || Int($0) >= configuration.vocabSize }) {
            throw LeafError(
                .usage, "token id \(id) is outside the vocabulary (0 to \(configuration.vocabSize - 1))",
                field: "target")
        }
        guard !scored.isEmpty, scored.lowerBound >= 0, scored.upperBound <= target.count else {
            throw LeafError(.usage, "tokens \(scored) are not among the \(target.count) of the target")
        }
    }

    private var scored: Range<Int> { part ?? 0..<target.count }

    /// Bytes of the answer, in an array that has doubled.
    package static func answerBytes(tokens: Int) -> Int { 2 * MemoryLayout<TokenScore>.stride *| tokens }

    /// The demand of the request: one sweep, which does not need the last token that is scored.
    public func demand(in configuration: ModelConfiguration) -> Demand {
        .oneSweep(
            rows: context.length(in: configuration) + max(1, scored.upperBound) - 1, logitRows: scored.count,
            answerBytes: Self.answerBytes(tokens: scored.count))
    }
}

extension Range<Int> {
    /// Tokens in as many parts as a model's rows of logits make necessary.
    package func parts(logitRows: Int) -> [Range<Int>] {
        let most = Swift.max(1, logitRows)
        return stride(from: lowerBound, to: upperBound, by: most).map { $0..<Swift.min($0 + most, upperBound) }
    }
}

extension ScoreRequest {
    /// The request in as many parts as a model's rows of logits make necessary. The scores of all parts, one behind the
    /// other, are those of the whole.
    package func parts(logitRows: Int) -> [ScoreRequest] {
        // What has nothing to score is refused as it is.
        guard target.count > logitRows, !target.isEmpty else { return [self] }
        return target.indices.parts(logitRows: logitRows).map { range in
            var request = self
            request.part = range
            return request
        }
    }
}

/// The model's probability of one token at its position.
public struct TokenScore: Sendable, Equatable {
    public let id: Int32
    public let logit: Float
    /// The natural logarithm of its probability.
    public let logprob: Double
    /// 1 for the most likely token; of equal ones the smaller id comes first.
    public let rank: Int
}

extension ScoreRequest: OneSweepRequest {
    /// The score of each token that is scored.
    public typealias Answer = [TokenScore]
    public var work: RequestWork<[TokenScore]> { oneSweepWork }

    package func rows(of sequence: SequenceID, in configuration: ModelConfiguration) -> [RowBatch.Row] {
        context.rows(of: sequence, predicting: scored, of: target, in: configuration)
    }

    package func begin(in configuration: ModelConfiguration) -> [TokenScore] { [] }

    package func read(
        _ row: LogitsRow, at index: Int, into scores: inout [TokenScore], workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        try workspace.load(row.logits.span)
        scores.append(workspace.score(of: target[scored.lowerBound + index]))
    }

    package func answer(_ scores: [TokenScore]) -> [TokenScore] { scores }
}

extension SamplingWorkspace {
    /// Computes the score of a token. Overwrites the probabilities.
    mutating func score(of id: Int32) -> TokenScore {
        let logit = logits[Int(id)]
        var rank = 1
        for other in 0..<vocabSize where logits[other] > logit || (logits[other] == logit && other < id) { rank += 1 }
        return TokenScore(id: id, logit: logit, logprob: Double(logit) - logOfSum(), rank: rank)
    }
}
