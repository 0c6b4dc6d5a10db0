public import LeafGeneration
public import LeafSystem
import LeafTokenizer

/// The beginning of a text to generate.
public enum Prompt: Sendable, Equatable {
    /// A text. `<s>` is put in front, and characters that the vocabulary lacks are dropped, as in CPM-Live.
    case text(String)
    /// Token ids, used unchanged; they should begin with `<s>` (6).
    case ids([Int32])
}

extension ModelFile {
    /// Turns a prompt into rows of this model.
    /// - Throws: `.usage` for ids that the model does not have, or for a text if there is no vocabulary.
    public func rows(of prompt: Prompt, _ options: GenerationOptions) throws(LeafError) -> PromptRows {
        let ids: [Int32]
        var unknown = UnknownCharacters()
        switch prompt {
        case .ids(let given): ids = given
        case .text(let text): ids = [Tokenizer.bosID] + (try requireTokenizer().knownIDs(of: text, noting: &unknown))
        }
        var rows = try PromptRows(ids: ids, task: options.task, segment: options.segment, for: configuration)
        rows.tuning = try tunings.tuning(of: options, for: configuration)
        rows.unknown = unknown
        return rows
    }
}

extension ModelFile {
    /// Whether an adapter, loaded beside the model or merged into it, has a part in what it computes.
    ///
    /// - Throws: `.usage` for an adapter that there is not.
    package func isAdapted(by options: GenerationOptions) throws(LeafError) -> Bool {
        try tunings.tuning(of: options, for: configuration).adapter != nil || leaf.metadata["source.adapters"] != nil
    }
}

extension Model {
    /// Runs a request to its end. Requests of other threads and tasks share its sweeps.
    ///
    /// - Parameters:
    ///   - session: the file that keeps the generation and continues it; its `failure` says whether saving failed.
    ///   - cancellation: when it is cancelled, what was generated so far is the result.
    ///   - onPiece: called for every token, on the calling thread.
    ///   - onProgress: called with the progress of the generation, some times a second at most, on the calling thread.
    /// - Throws: `.usage` for options that make no sense, `.tooLong` when the model was opened for less, `.busy`.
    public func generate(
        _ prompt: Prompt, _ options: GenerationOptions = GenerationOptions(), samples: Int = 1,
        session: Session? = nil, cancellation: Cancellation = Cancellation(),
        onPiece: (GeneratedPiece) -> Void = { _ in }, onProgress: (RequestProgress) -> Void = { _ in }
    ) throws(LeafError) -> Generation {
        let request = GenerationRequest(
            prompt: try file.rows(of: prompt, options), options: options, samples: samples, session: session)
        var result = Result<Generation, LeafError>.failure(LeafError(.cancelled, "stopped"))
        try generate([request], cancellation: cancellation) { _, event in
            switch event {
            case .piece(let piece): onPiece(piece)
            case .progress(let progress): onProgress(progress)
            case .finished(let outcome): result = outcome
            }
        }
        return try result.get()
    }

    /// Runs any number of requests to their ends, as many at once as the model has capacity for.
    ///
    /// - Parameters:
    ///   - cancellation: when it is cancelled, all requests end with what they have.
    ///   - onEvent: called on the calling thread with a request's index and an event.
    /// - Throws: `.usage` if any request is invalid; no request has started then.
    public func generate(
        _ requests: [GenerationRequest], cancellation: Cancellation = Cancellation(),
        onEvent: (_ index: Int, _ event: GenerationEvent) -> Void
    ) throws(LeafError) {
        try carryOut(requests, cancellation, onEvent: onEvent)
    }

    /// Streams the pieces of a text as they are generated; the whole answer comes with the same stream.
    public func generate(_ prompt: String, _ options: GenerationOptions = GenerationOptions()) -> GenerationStream {
        GenerationStream { events throws(LeafError) in
            let request = GenerationRequest(prompt: try file.rows(of: .text(prompt), options), options: options)
            return try submit(request, events: events)
        }
    }
}
