public import LeafFormat
public import LeafGeneration

extension Model {
    /// Scores texts, as many on a sweep as the model was opened for. Generations ride along.
    ///
    /// - Parameters:
    ///   - isCancelled: asked many times a second; what has not been computed then fails with `.cancelled`.
    ///   - onAnswer: handed a request's place and the score of each token of its target, on the calling thread.
    /// - Throws: `.usage` if any request makes no sense; none has begun then.
    public func score(
        _ requests: [ScoreRequest], isCancelled: () -> Bool = { false },
        onAnswer: (_ place: Int, _ scores: Result<[TokenScore], LeafError>) -> Void
    ) throws(LeafError) {
        let configuration = file.configuration
        for request in requests { try request.validate(for: configuration) }
        collect(
            requests.count, isCancelled: isCancelled,
            track: { place, cancellation, deliver in
                let request = requests[place]
                return { ScoreTrack(request, for: configuration, cancellation: cancellation, deliver: deliver) }
            },
            take: { place, scores in
                onAnswer(place, scores)
                return true
            })
    }

    /// Pools the hidden states of texts, as many on a sweep as the model was opened for. Generations ride along.
    ///
    /// - Parameters:
    ///   - isCancelled: asked many times a second; what has not been computed then fails with `.cancelled`.
    ///   - onAnswer: handed a request's place and `[dimModel]` numbers, on the calling thread.
    /// - Throws: `.usage` if any request makes no sense; none has begun then.
    public func embed(
        _ requests: [EmbeddingRequest], isCancelled: () -> Bool = { false },
        onAnswer: (_ place: Int, _ vector: Result<[Float], LeafError>) -> Void
    ) throws(LeafError) {
        let configuration = file.configuration
        for request in requests { try request.validate(for: configuration) }
        collect(
            requests.count, isCancelled: isCancelled,
            track: { place, cancellation, deliver in
                let request = requests[place]
                return { EmbedTrack(request, for: configuration, cancellation: cancellation, deliver: deliver) }
            },
            take: { place, vector in
                onAnswer(place, vector)
                return true
            })
    }
}
