public import CPMAntShape
public import LeafExecutor
public import LeafSystem
package import LeafTokenizer

/// What a model can be asked: a text to continue, to fill, to score, to turn into a vector. All kinds ride on the same
/// sweeps.
public protocol ModelRequest: Sendable {
    associatedtype Answer: Sendable

    /// - Throws: `.usage` if the request is invalid for this model.
    func validate(for configuration: ModelConfiguration) throws(LeafError)

    /// What the request can come to need of a model, one part of it after the other if it has several.
    func demand(in configuration: ModelConfiguration) -> Demand

    /// The request as it goes on from what a session has kept of it; kinds that keep nothing stay as they are.
    ///
    /// - Throws: `.usage` naming what is not as it was, `.badInput` for a damaged file, `.io`.
    func resumed(from origin: SessionOrigin) throws(LeafError) -> Self

    var work: RequestWork<Answer> { get }
}

extension ModelRequest {
    public typealias Event = RequestEvent<Answer>

    public func resumed(from origin: SessionOrigin) throws(LeafError) -> Self { self }
}

/// What decides a generation's texts beside its request, for whoever keeps it.
public struct SessionOrigin: Sendable {
    package let fields: @Sendable (GenerationRequest) throws(LeafError) -> [SessionHead.Field]

    package init(_ fields: @escaping @Sendable (GenerationRequest) throws(LeafError) -> [SessionHead.Field]) {
        self.fields = fields
    }
}

/// How requests of one kind are carried out.
public struct RequestWork<Answer: Sendable>: Sendable {
    /// Makes the tracks with which a valid request begins, on the engine's thread, where they live.
    package let begin: @Sendable (RequestContext<Answer>) -> [any Track]
}

extension RequestWork {
    /// The same work under another kind of answer, so that requests of several kinds can be carried out as one kind.
    package func map<Other>(_ answer: @escaping @Sendable (Answer) -> Other) -> RequestWork<Other> {
        RequestWork<Other> { context in
            begin(
                RequestContext<Answer>(
                    configuration: context.configuration, vocabulary: context.vocabulary,
                    cancellation: context.cancellation, add: context.add,
                    tell: { event in
                        switch event {
                        case .piece(let piece): context.tell(.piece(piece))
                        case .progress(let progress): context.tell(.progress(progress))
                        case .finished(let result): context.tell(.finished(result.map(answer)))
                        }
                    }))
        }
    }
}

/// What a request on its way knows of where it is.
package struct RequestContext<Answer: Sendable>: Sendable {
    package let configuration: ModelConfiguration
    /// Nil for a model that gives ids only.
    package let vocabulary: Vocabulary?
    /// The request's own.
    package let cancellation: Cancellation
    /// Adds tracks on the engine's thread, for a request that takes several steps.
    package let add: @Sendable (_ tracks: @escaping @Sendable () -> [any Track]) -> Void
    /// Delivers an event; called on the engine's thread.
    package let tell: @Sendable (RequestEvent<Answer>) -> Void

    package init(
        configuration: ModelConfiguration, vocabulary: Vocabulary?, cancellation: Cancellation,
        add: @escaping @Sendable (_ tracks: @escaping @Sendable () -> [any Track]) -> Void,
        tell: @escaping @Sendable (RequestEvent<Answer>) -> Void
    ) {
        self.configuration = configuration
        self.vocabulary = vocabulary
        self.cancellation = cancellation
        self.add = add
        self.tell = tell
    }
}

extension GenerationRequest: ModelRequest {
    public var work: RequestWork<Generation> {
        RequestWork { context in
            [
                track(
                    for: context.configuration, vocabulary: context.vocabulary, cancellation: context.cancellation,
                    onEvent: context.tell)
            ]
        }
    }

    /// - Parameter onEvent: called on the model's thread; it must return quickly.
    package func track(
        for configuration: ModelConfiguration, vocabulary: Vocabulary?, cancellation: Cancellation,
        onEvent: @escaping @Sendable (GenerationEvent) -> Void
    ) -> any Track {
        let report = GenerationReport(self, cancellation: cancellation, deliver: onEvent)
        return if case .beams(let width) = options.decoding {
            TextTrack(self, for: configuration, report) {
                BeamTexts(self, width: width, for: configuration, vocabulary: vocabulary, report)
            }
        } else {
            TextTrack(self, for: configuration, report) {
                SampleTexts(self, for: configuration, vocabulary: vocabulary, report)
            }
        }
    }
}
