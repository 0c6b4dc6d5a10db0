import LeafGeneration
import LeafSystem
import Leafcutter
import Testing

/// What a request gave, times left out.
struct Answer: Equatable {
    let ids: [[Int32]]
    let scores: [Double?]
    let reasons: [FinishReason]
    let logprobs: [[TokenLogprobs]]

    init(_ generation: Generation) {
        ids = generation.samples.map(\.ids)
        scores = generation.samples.map(\.score)
        reasons = generation.samples.map(\.finishReason)
        logprobs = generation.samples.map(\.logprobs)
    }

    /// Runs requests together, and returns their answers in the order of the requests.
    static func run(_ requests: [GenerationRequest], on model: Model) throws -> [Answer] {
        var answers: [Int: Result<Answer, LeafError>] = [:]
        try model.generate(requests) { index, event in
            if case .finished(let outcome) = event { answers[index] = outcome.map(Answer.init) }
        }
        return try requests.indices.map { try #require(answers[$0]).get() }
    }
}
