public import LeafGeneration
public import LeafSystem

extension Model {
    /// Answers requests of one kind, as many on a sweep as the model has capacity for. Requests of other kinds share
    /// the sweeps.
    ///
    ///     try model.answer([ScoreRequest(context: prompt, target: ids)]) { index, scores in ... }
    ///
    /// - Parameters:
    ///   - cancellation: what has not been computed when it is cancelled fails with `.cancelled`.
    ///   - onAnswer: called on the calling thread with a request's index and its answer.
    ///   - onProgress: called with the progress of one of them, some times a second at most, on the calling thread.
    /// - Throws: `.usage` if any request is invalid; no request has started then.
    public func answer<Request: ModelRequest>(
        _ requests: [Request], cancellation: Cancellation = Cancellation(),
        onAnswer: (_ index: Int, _ answer: Result<Request.Answer, LeafError>) -> Void,
        onProgress: (RequestProgress) -> Void = { _ in }
    ) throws(LeafError) {
        try carryOut(requests, cancellation) { index, event in
            switch event {
            case .piece: break
            case .progress(let progress): onProgress(progress)
            case .finished(let answer): onAnswer(index, answer)
            }
        }
    }

    /// Answers requests from a stream; holds at most `ahead` of them.
    ///
    /// - Parameters:
    ///   - ahead: the most requests to hold; twice the number that share a sweep keeps every sweep full.
    ///   - cancellation: when it is cancelled no further request is taken, and those begun fail with `.cancelled`.
    ///   - next: returns the next request, nil after the last one.
    ///   - onAnswer: called on the calling thread with a request's number, from 0, and its answer.
    ///   - onProgress: called with the progress of one of them, some times a second at most, on the calling thread.
    /// - Throws: what `next` throws, and `.usage` for an invalid request; active requests are cancelled and answered
    ///   first.
    public func answer<Request: ModelRequest>(
        ahead: Int, cancellation: Cancellation = Cancellation(), next: () throws(LeafError) -> Request?,
        onAnswer: (_ number: Int, _ answer: Result<Request.Answer, LeafError>) -> Void,
        onProgress: (RequestProgress) -> Void = { _ in }
    ) throws(LeafError) {
        var count = 0
        try carryOut(
            ahead: ahead, cancellation,
            next: { _ throws(LeafError) -> Arrival<Asked<Int, Request>> in
                guard let request = try next() else { return .end }
                defer { count += 1 }
                return .value((count, [request]))
            },
            onEvent: { (number: inout Int, _, event: Request.Event) in
                switch event {
                case .piece: break
                case .progress(let progress): onProgress(progress)
                case .finished(let answer): onAnswer(number, answer)
                }
            })
    }

    /// Answers one request. Cancelling the task ends it.
    ///
    /// - Throws: `.usage` if it makes no sense, `.busy`, `.tooLong`, `.cancelled`, and what reading throws.
    public func answer<Request: ModelRequest>(
        to request: Request, onProgress: @escaping @Sendable (RequestProgress) -> Void = { _ in }
    ) async throws(LeafError) -> Request.Answer {
        let outcome = Outcome<Request.Answer>()
        let ticket = try submit(request) { event in
            switch event {
            case .piece: break
            case .progress(let progress): onProgress(progress)
            case .finished(let answer): outcome.settle(answer)
            }
        }
        return try await outcome.value(cancelling: ticket).get()
    }
}
