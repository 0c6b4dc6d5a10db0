package import LeafFormat
package import LeafGeneration
package import LeafSystem
package import LeafWire
package import Leafcutter

/// What a body asks for, checked and ready to be carried out.
package struct ServedRequest: Sendable {
    /// Whether the answer comes in chunks, each of them a server-sent event.
    package let isStream: Bool
    /// Fields that nobody knows, in the order of the body.
    package let ignored: UnknownFields
    /// Characters of its texts that the vocabulary lacks.
    package let unknown: Int
    /// Texts that it puts on sweeps at once: samples, prompts, beams, lengths of a blank. 0 for what needs no sweep.
    package let sequences: Int
    /// Bytes that it takes beside the model, its answer included: `held` from `AnswerDesk.request` on, `written` while
    /// an event is told and made into bytes.
    package let room: AnswerRoom
    private let work: Work

    /// How it is carried out.
    package typealias Work =
        @Sendable (_ model: Model, _ cancellation: Cancellation, _ tell: @escaping Teller) throws(LeafError) -> Void
    package typealias Teller = @Sendable (ServedEvent) -> Void

    init(
        isStream: Bool, ignored: UnknownFields, unknown: Int, sequences: Int, room: AnswerRoom, work: @escaping Work
    ) {
        (self.isStream, self.ignored, self.unknown) = (isStream, ignored, unknown)
        (self.sequences, self.room, self.work) = (sequences, room, work)
    }

    /// Begins on the model, which is that of the desk.
    ///
    /// - Parameters:
    ///   - cancellation: ends it within a sweep; it finishes with `.cancelled` then.
    ///   - tell: called with one event after the other, `.finished` last and once. The first ones may come before this
    ///     returns, on the calling thread; all others on the engine's queue, so that it should return soon.
    /// - Throws: `.busy`, `.usage`; nothing is told then any more.
    package func begin(
        on model: Model, _ cancellation: Cancellation, tell: @escaping Teller
    ) throws(LeafError) {
        try work(model, cancellation, tell)
    }
}

/// What a request gives while it is carried out.
package enum ServedEvent: Sendable {
    /// A part of a stream: one server-sent event.
    case chunk(JSON)
    /// So many tokens were generated. What shows them may be a chunk, or come later.
    case tokens(Int)
    /// Where it is: some times a second at most.
    case progress(RequestProgress)
    /// The last event: the whole answer, nil behind a stream's chunks.
    case finished(Result<JSON?, LeafError>)
}
