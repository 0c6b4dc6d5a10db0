package import CPMAntShape
package import LeafExecutor
package import LeafGeneration
package import LeafSystem

/// A request of any kind, so that all kinds come from one place and share one queue.
package enum AnyRequest: ModelRequest {
    package enum Answer: Sendable {
        case generation(Generation)
        case filling(Filling)
        case scores([TokenScore])
        case logprobs([TokenLogprobs])
        case vector([Float])

        /// Whether it was stopped before it was whole.
        package var isInterrupted: Bool {
            if case .generation(let generation) = self {
                generation.samples.contains { $0.finishReason == .interrupted }
            } else {
                false
            }
        }

        /// Tokens that were generated or scored.
        package var tokens: Int {
            switch self {
            case .generation(let generation): generation.completionTokens
            case .filling(let filling): filling.tokenCount
            case .scores(let scores): scores.count
            case .logprobs(let entries): entries.count
            case .vector: 0
            }
        }

        /// Tokens that were generated and of which no piece came before: a blank has none.
        package var tokensWithoutPieces: Int {
            if case .filling(let filling) = self { filling.tokenCount } else { 0 }
        }

        /// Empty for an answer of another kind.
        package var scores: [TokenScore] { if case .scores(let scores) = self { scores } else { [] } }
        /// Empty for an answer of another kind.
        package var vector: [Float] { if case .vector(let vector) = self { vector } else { [] } }
    }

    case generate(GenerationRequest)
    case fill(FillRequest)
    case score(ScoreRequest)
    case echo(EchoRequest)
    case embed(EmbeddingRequest)

    package func validate(for configuration: ModelConfiguration) throws(LeafError) {
        switch self {
        case .generate(let request): try request.validate(for: configuration)
        case .fill(let request): try request.validate(for: configuration)
        case .score(let request): try request.validate(for: configuration)
        case .echo(let request): try request.validate(for: configuration)
        case .embed(let request): try request.validate(for: configuration)
        }
    }

    package func demand(in configuration: ModelConfiguration) -> Demand {
        switch self {
        case .generate(let request): request.demand(in: configuration)
        case .fill(let request): request.demand(in: configuration)
        case .score(let request): request.demand(in: configuration)
        case .echo(let request): request.demand(in: configuration)
        case .embed(let request): request.demand(in: configuration)
        }
    }

    /// What each of its texts needs: those of a blank of open length are tried together.
    package func demands(in configuration: ModelConfiguration) -> [Demand] {
        if case .fill(let request) = self { return request.demands(in: configuration) }
        return [demand(in: configuration)]
    }

    /// Rows that it puts on sweeps, as far as the request tells.
    package func rows(of answer: Answer, in configuration: ModelConfiguration) -> Int {
        if case .filling(let filling) = answer { return filling.rows }
        let first = demand(in: configuration).firstRows
        if case .generation(let generation) = answer { return first + generation.newTokens }
        return first
    }

    package var work: RequestWork<Answer> {
        switch self {
        case .generate(let request): request.work.map { .generation($0) }
        case .fill(let request): request.work.map { .filling($0) }
        case .score(let request): request.work.map { .scores($0) }
        case .echo(let request): request.work.map { .logprobs($0) }
        case .embed(let request): request.work.map { .vector($0) }
        }
    }
}
