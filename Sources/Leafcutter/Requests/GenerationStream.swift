public import LeafGeneration
import LeafSystem
import Synchronization

/// The pieces of a text as they are generated, and the whole answer.
///
///     let text = model.generate("今天天气不错，")
///     for try await piece in text { print(piece.text, terminator: "") }
///     let answer = try await text.answer        // ids, text, finish reason, seed, timing
///
/// Cancelling the task that reads it, or letting go of it, ends the generation. Pieces that nobody has read yet are
/// kept: no more than the text has.
public struct GenerationStream: AsyncSequence, Sendable {
    public typealias Element = GeneratedPiece

    private let pieces: AsyncThrowingStream<GeneratedPiece, any Error>
    private let outcome: Outcome<Generation>
    private let latest: Latest
    private let ticket: Ticket?

    private final class Latest: Sendable {
        let progress = Mutex<RequestProgress?>(nil)
    }

    /// - Parameter begin: hands a request to the model. What it throws is thrown to whoever reads.
    init(
        _ begin: (_ events: @escaping @Sendable (GenerationEvent) -> Void) throws(LeafError) -> Ticket
    ) {
        let (pieces, continuation) = AsyncThrowingStream<GeneratedPiece, any Error>.makeStream()
        let (outcome, latest) = (Outcome<Generation>(), Latest())
        (self.pieces, self.outcome, self.latest) = (pieces, outcome, latest)
        do throws(LeafError) {
            let ticket = try begin { event in
                switch event {
                case .piece(let piece): continuation.yield(piece)
                case .progress(let progress): latest.progress.withLock { $0 = progress }
                case .finished(let result):
                    outcome.settle(result)
                    if case .failure(let error) = result {
                        continuation.finish(throwing: error)
                    } else {
                        continuation.finish()
                    }
                }
            }
            self.ticket = ticket
            continuation.onTermination = { reason in
                if case .cancelled = reason { ticket.cancel() }
            }
        } catch {
            ticket = nil
            outcome.settle(.failure(error))
            continuation.finish(throwing: error)
        }
    }

    /// Everything that the generation gave, once it is over; the pieces need not have been read. A generation
    /// that was cancelled gives what there was then.
    ///
    /// - Throws: `LeafError`: `.usage` for options that make no sense, `.busy`, `.tooLong` when the model was opened
    ///   for less, and what reading throws.
    public var answer: Generation {
        get async throws(LeafError) { try await outcome.value(cancelling: ticket).get() }
    }

    /// Where the generation was a moment ago; nil before the first tenth of a second.
    public var progress: RequestProgress? { latest.progress.withLock { $0 } }

    /// Ends the generation with what there is.
    public func cancel() { ticket?.cancel() }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var pieces: AsyncThrowingStream<GeneratedPiece, any Error>.Iterator

        /// - Throws: `LeafError`, as `answer` does.
        public mutating func next() async throws -> GeneratedPiece? { try await pieces.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pieces: pieces.makeAsyncIterator()) }
}
