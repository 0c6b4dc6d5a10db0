public import LeafFormat
public import LeafGeneration

extension Model {
    /// Answers requests of one kind, as many on a sweep as the model was opened for. Those of others ride along.
    ///
    ///     try model.answer([ScoreRequest(context: prompt, target: ids)]) { place, scores in ... }
    ///
    /// - Parameters:
    ///   - isCancelled: asked many times a second; what has not been computed then fails with `.cancelled`.
    ///   - onAnswer: handed a request's place and its answer, on the calling thread.
    /// - Throws: `.usage` if any request makes no sense; none has begun then.
    public func answer<Request: ModelRequest>(
        _ requests: [Request], isCancelled: () -> Bool = { false },
        onAnswer: (_ place: Int, _ answer: Result<Request.Answer, LeafError>) -> Void
    ) throws(LeafError) {
        for request in requests { try request.validate(for: file.configuration) }
        var rest = requests[...]
        try answer(ahead: .max, isCancelled: isCancelled, next: { rest.popFirst() }, onAnswer: onAnswer)
    }

    /// Answers requests as they come; no more of them are held than `ahead`.
    ///
    /// - Parameters:
    ///   - ahead: twice what rides together keeps every sweep full.
    ///   - isCancelled: asked many times a second; no further request is taken then, and those begun fail with
    ///     `.cancelled`.
    ///   - next: nil after the last one.
    ///   - onAnswer: handed the number of a request, from 0, and its answer, on the calling thread.
    /// - Throws: what `next` throws, and `.usage` for a request that makes no sense; those begun are cancelled and
    ///   answered before.
    public func answer<Request: ModelRequest>(
        ahead: Int, isCancelled: () -> Bool = { false }, next: () throws(LeafError) -> Request?,
        onAnswer: (_ number: Int, _ answer: Result<Request.Answer, LeafError>) -> Void
    ) throws(LeafError) {
        let configuration = file.configuration
        let vocabulary = tokenizer?.vocabulary
        try collect(
            ahead: ahead, isCancelled: isCancelled,
            tracks: { _, cancellation, deliver throws(LeafError) in
                guard let request = try next() else { return nil }
                try request.validate(for: configuration)
                return [{ request.work.makeTrack(configuration, vocabulary, cancellation, deliver) }]
            },
            take: { number, answer in
                onAnswer(number, answer)
                return true
            })
    }
}
