package import CPMAnt
public import LeafFormat

/// A text whose probability after another is wanted.
public struct ScoreRequest: Sendable {
    /// Seen by everyone, as a prompt is.
    public var context: PromptRows
    /// Each token sees the context and the tokens before it: nothing of what it is scored for.
    public var target: [Int32]

    public init(context: PromptRows, target: [Int32]) {
        self.context = context
        self.target = target
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        guard !context.ids.isEmpty else { throw LeafError(.usage, "the context has no ids; give at least <s> (6)") }
        guard !target.isEmpty else { throw LeafError(.usage, "the target has no ids; give at least one") }
        if let id = target.first(where: { $0 < 0 || Int($0) >= configuration.vocabSize }) {
            throw LeafError(.usage, "token id \(id) is outside the vocabulary (0 to \(configuration.vocabSize - 1))")
        }
    }

    /// What the request needs of a model: one sweep, in which nobody reads the last token.
    public func demand(in configuration: ModelConfiguration) -> Demand {
        let rows = context.length(in: configuration) + target.count - 1
        return Demand(
            pages: (rows + Demand.pageKeys - 1) / Demand.pageKeys, sequences: 1, positions: rows, firstRows: rows,
            stepRows: 0, logitRows: target.count)
    }
}

/// What the model makes of one token where it stands.
public struct TokenScore: Sendable, Equatable {
    public let id: Int32
    public let logit: Float
    /// The natural logarithm of its probability.
    public let logprob: Double
    /// 1 if it is the most likely token; of equals the smaller id comes first.
    public let rank: Int
}

/// Scores one text, on one sweep.
package final class ScoreTrack: Track {
    package let demand: Demand
    private let request: ScoreRequest
    private let cancellation: Cancellation
    private let deliver: @Sendable (Result<[TokenScore], LeafError>) -> Void
    private var sequence: SequenceID?
    private var scores: [TokenScore] = []

    /// - Parameter deliver: is told the score of each token of the target.
    package init(
        _ request: ScoreRequest, for configuration: ModelConfiguration, cancellation: Cancellation,
        deliver: @escaping @Sendable (Result<[TokenScore], LeafError>) -> Void
    ) {
        self.request = request
        self.cancellation = cancellation
        self.deliver = deliver
        demand = request.demand(in: configuration)
    }

    package var isCancelled: Bool { cancellation.isCancelled }
    package var isFinished: Bool { scores.count == request.target.count }

    package func addRows(to batch: inout RowBatch, _ model: CPMAntModel) {
        let sequence = model.cache.makeSequence()
        self.sequence = sequence
        scores.reserveCapacity(request.target.count)
        let last = request.context.ids.count - 1
        batch.rows += request.context.rows(of: sequence, in: model.configuration) { $0 == last }
        for (step, id) in request.target.dropLast().enumerated() {
            batch.rows.append(
                request.context.row(of: sequence, generated: id, step: step, in: model.configuration))
        }
    }

    package func accept(
        _ row: LogitsRow, at place: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        try workspace.load(row.logits.span)
        scores.append(workspace.score(of: request.target[place]))
    }

    package func endSweep(_ model: CPMAntModel) {}

    package func end(_ error: LeafError?, _ model: CPMAntModel) {
        if let sequence { model.cache.remove(sequence) }
        if let error {
            deliver(.failure(error))
        } else if isFinished {
            deliver(.success(scores))
        } else {
            deliver(.failure(LeafError(.cancelled, "stopped")))
        }
    }
}

extension SamplingWorkspace {
    /// Overwrites the probabilities.
    mutating func score(of id: Int32) -> TokenScore {
        let logit = logits[Int(id)]
        var rank = 1
        for other in 0..<vocabSize where logits[other] > logit || (logits[other] == logit && other < id) { rank += 1 }
        return TokenScore(id: id, logit: logit, logprob: Double(logit) - logOfSum(), rank: rank)
    }
}
