public import CPMAntShape
public import LeafFormat
package import LeafTokenizer

/// What a model can be asked: a text to continue, to score, to turn into a vector. All kinds ride on the same sweeps.
public protocol ModelRequest: Sendable {
    associatedtype Answer: Sendable

    /// - Throws: `.usage` for what makes no sense with this model.
    func validate(for configuration: ModelConfiguration) throws(LeafError)

    /// What the request can come to need of a model.
    func demand(in configuration: ModelConfiguration) -> Demand

    var work: RequestWork<Answer> { get }
}

/// How requests of one kind are worked on.
public struct RequestWork<Answer: Sendable>: Sendable {
    /// Makes the track of a valid request, on the thread where it lives; `deliver` is called once, on that thread.
    package let makeTrack:
        @Sendable (
            _ configuration: ModelConfiguration, _ vocabulary: Vocabulary?, _ cancellation: Cancellation,
            _ deliver: @escaping @Sendable (Result<Answer, LeafError>) -> Void
        ) -> any Track
}

extension GenerationRequest: ModelRequest {
    public var work: RequestWork<Generation> {
        RequestWork { configuration, vocabulary, cancellation, deliver in
            track(for: configuration, vocabulary: vocabulary, cancellation: cancellation) { event in
                if case .finished(let outcome) = event { deliver(outcome) }
            }
        }
    }

    /// - Parameter onEvent: called on the model's thread; it should return soon.
    package func track(
        for configuration: ModelConfiguration, vocabulary: Vocabulary?, cancellation: Cancellation,
        onEvent: @escaping @Sendable (GenerationEvent) -> Void
    ) -> any Track {
        let report = GenerationReport(self, cancellation: cancellation, deliver: onEvent)
        let keeper = SessionKeeper(self, seed: report.seed)
        return if case .beams(let width) = options.decoding {
            BeamTrack(
                self, width: width, for: configuration, vocabulary: vocabulary, report: report, keeper: keeper)
        } else {
            SampleTrack(self, for: configuration, vocabulary: vocabulary, report: report, keeper: keeper)
        }
    }
}
