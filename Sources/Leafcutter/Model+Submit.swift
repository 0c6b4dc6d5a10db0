package import LeafFormat
package import LeafGeneration

/// Requests that are ready to join a sweep.
package struct Submission: Sendable {
    let makers: [Engine.TrackMaker]

    init(makers: [Engine.TrackMaker]) { self.makers = makers }

    /// Several as one.
    package init(_ parts: [Submission]) { makers = parts.flatMap(\.makers) }
}

extension Model {
    /// - Parameter onEvent: called on the model's thread; it should return soon.
    /// - Throws: `.usage` for a request that makes no sense.
    package func submission(
        of request: GenerationRequest, _ cancellation: Cancellation,
        onEvent: @escaping @Sendable (GenerationEvent) -> Void
    ) throws(LeafError) -> Submission {
        Submission(makers: [track(of: try ready(request), cancellation, onEvent: onEvent)])
    }

    /// - Parameter onAnswer: called once, on the model's thread; it should return soon.
    /// - Throws: `.usage` for a request that makes no sense.
    package func submission<Request: ModelRequest>(
        of request: Request, _ cancellation: Cancellation,
        onAnswer: @escaping @Sendable (Result<Request.Answer, LeafError>) -> Void
    ) throws(LeafError) -> Submission {
        let configuration = file.configuration
        let vocabulary = tokenizer?.vocabulary
        try request.validate(for: configuration)
        return Submission(makers: [{ request.work.makeTrack(configuration, vocabulary, cancellation, onAnswer) }])
    }

    /// - Parameter onAnswer: called once, on the model's thread; it should return soon.
    /// - Throws: `.usage` for a request that makes no sense.
    package func submission(
        of request: FillRequest, _ cancellation: Cancellation,
        onAnswer: @escaping @Sendable (Result<Filling, LeafError>) -> Void
    ) throws(LeafError) -> Submission {
        try request.validate(for: file.configuration)
        return Submission(makers: FillRun(request, on: self, cancellation, deliver: onAnswer).makers())
    }

    /// Lets all of them join the next sweep on which there is room.
    package func begin(_ submissions: [Submission]) {
        let makers = submissions.flatMap(\.makers)
        if !makers.isEmpty { engine.add(makers) }
    }
}
