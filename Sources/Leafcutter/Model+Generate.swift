public import LeafFormat
public import LeafGeneration
import LeafTokenizer

/// What generation starts from.
public enum Prompt: Sendable, Equatable {
    /// `<s>` is put in front, and characters that the vocabulary lacks are dropped, as CPM-Live does.
    case text(String)
    /// Taken as they are; they should begin with `<s>` (6).
    case ids([Int32])
}

extension ModelFile {
    /// The rows that a prompt becomes.
    /// - Throws: `.usage` for ids that the model does not have, or a text without a vocabulary.
    public func rows(of prompt: Prompt, _ options: GenerationOptions) throws(LeafError) -> PromptRows {
        let ids: [Int32]
        switch prompt {
        case .ids(let given): ids = given
        case .text(let text):
            ids = [Tokenizer.bosID] + (try requireTokenizer().encode(text)).filter { $0 != Tokenizer.unknownID }
        }
        var rows = try PromptRows(ids: ids, task: options.task, segment: options.segment, for: configuration)
        rows.tuning = try tunings.tuning(of: options, for: configuration)
        return rows
    }
}

extension Model {
    /// Runs a request to its end. Requests of other threads and tasks ride on the same sweeps.
    ///
    /// - Parameters:
    ///   - session: where the generation is kept, and what it goes on from; `failure` tells whether it was saved.
    ///   - isCancelled: asked many times a second; what was generated so far is then the result.
    ///   - onPiece: called for every token, on the calling thread.
    /// - Throws: `.usage` for options that make no sense, `.budget` when the model was opened for less.
    public func generate(
        _ prompt: Prompt, _ options: GenerationOptions = GenerationOptions(), samples: Int = 1,
        session: Session? = nil, isCancelled: () -> Bool = { false }, onPiece: (GeneratedPiece) -> Void = { _ in }
    ) throws(LeafError) -> Generation {
        let request = GenerationRequest(
            prompt: try file.rows(of: prompt, options), options: options, samples: samples, session: session)
        var result = Result<Generation, LeafError>.failure(LeafError(.cancelled, "stopped"))
        try generate([request], isCancelled: isCancelled) { _, event in
            switch event {
            case .piece(let piece): onPiece(piece)
            case .finished(let outcome): result = outcome
            }
        }
        return try result.get()
    }

    /// Runs any number of requests to their ends, as many at once as the model was opened for.
    ///
    /// - Parameters:
    ///   - isCancelled: asked many times a second; all requests then end with what they have.
    ///   - onEvent: handed a request's place and what happened, on the calling thread.
    /// - Throws: `.usage` if any request makes no sense; none has begun then.
    public func generate(
        _ requests: [GenerationRequest], isCancelled: () -> Bool = { false },
        onEvent: (_ place: Int, _ event: GenerationEvent) -> Void
    ) throws(LeafError) {
        let requests = try requests.map { request throws(LeafError) in try ready(request) }
        collect(
            requests.count, isCancelled: isCancelled,
            track: { place, cancellation, deliver in track(of: requests[place], cancellation, onEvent: deliver) },
            take: { place, event in
                onEvent(place, event)
                if case .finished = event { return true }
                return false
            })
    }

    /// Streams the pieces of a text as they are generated. Cancelling the task that reads it ends the generation.
    public func generate(
        _ prompt: String, _ options: GenerationOptions = GenerationOptions()
    ) -> AsyncThrowingStream<GeneratedPiece, any Error> {
        AsyncThrowingStream { continuation in
            let cancellation = Cancellation()
            continuation.onTermination = { _ in cancellation.cancel() }
            do throws(LeafError) {
                let request = GenerationRequest(prompt: try file.rows(of: .text(prompt), options), options: options)
                let track = track(of: try ready(request), cancellation) { event in
                    switch event {
                    case .piece(let piece): continuation.yield(piece)
                    case .finished(.success): continuation.finish()
                    case .finished(.failure(let error)): continuation.finish(throwing: error)
                    }
                }
                engine.add([track])
            } catch {
                continuation.finish(throwing: error)
            }
        }
    }

    /// The request as it goes on, known to make sense.
    func ready(_ request: GenerationRequest) throws(LeafError) -> GenerationRequest {
        try request.validate(for: file.configuration)
        guard request.session != nil else { return request }
        guard settings.keepsSessions else {
            throw LeafError(.usage, "the model was opened without room for sessions; set ModelOptions.keepsSessions")
        }
        return try request.resumed(from: settings.sessionOrigin(of: request))
    }

    /// - Parameter onEvent: called on the model's thread; it should return soon.
    func track(
        of request: GenerationRequest, _ cancellation: Cancellation,
        onEvent: @escaping @Sendable (GenerationEvent) -> Void
    ) -> Engine.TrackMaker {
        let configuration = file.configuration
        let vocabulary = tokenizer?.vocabulary
        return {
            request.track(for: configuration, vocabulary: vocabulary, cancellation: cancellation, onEvent: onEvent)
        }
    }
}
