package import CPMAntShape
package import LeafGeneration
package import LeafSystem
package import Leafcutter
import Synchronization

/// Carries out the parts of one request: some of them at a time, so that one request does not fill all sweeps, and
/// memory does not grow with their number.
package final class Carrier: Sendable {
    /// What becomes of the parts. All of it is called on the engine's queue, one after the other.
    package struct Receiver: Sendable {
        let part: @Sendable (_ index: Int, _ event: PartEvent) -> Void
        let progress: @Sendable (RequestProgress) -> Void
        let end: @Sendable (LeafError?) -> Void

        /// - Parameters:
        ///   - part: a piece of a part's text, or its answer.
        ///   - end: nothing comes behind it; nil once all parts have their answers.
        package init(
            part: @escaping @Sendable (_ index: Int, _ event: PartEvent) -> Void,
            progress: @escaping @Sendable (RequestProgress) -> Void, end: @escaping @Sendable (LeafError?) -> Void
        ) {
            (self.part, self.progress, self.end) = (part, progress, end)
        }
    }

    package enum PartEvent: Sendable {
        case piece(GeneratedPiece)
        case answer(AnyRequest.Answer)

        /// Tokens that were generated with it.
        package var tokens: Int {
            switch self {
            case .piece(let piece): piece.id == nil ? 0 : 1
            case .answer(let answer): answer.tokensWithoutPieces
            }
        }
    }

    private struct State {
        var next = 0
        /// Parts under way, in their order, and the sequences that they have together.
        var open: [Int] = []
        var sequences = 0
        var failure: LeafError?
        var reported: RequestProgress?
        var isOver = false
    }

    private let model: Model
    private let parts: [AnyRequest]
    private let widths: [Int]
    private let mostSequences: Int
    private let receiver: Receiver
    /// Its parent is the request's: a part that fails ends the others, and no more than that.
    private let cancellation: Cancellation
    private let state = Mutex(State())

    /// - Parameters:
    ///   - parts: at least one.
    ///   - mostSequences: at the same time; a part with more goes alone.
    package init(
        _ parts: [AnyRequest], on model: Model, mostSequences: Int, _ cancellation: Cancellation, _ receiver: Receiver
    ) {
        (self.model, self.parts, self.mostSequences, self.receiver) = (model, parts, mostSequences, receiver)
        widths = parts.map { Self.width(of: $0, in: model.file.configuration) }
        self.cancellation = Cancellation(parent: cancellation)
    }

    /// The sequences that a part has at the same time. The lengths of an open blank are parts of their own to the
    /// model, so that one that is wider than it goes on all the same.
    package static func width(of part: AnyRequest, in configuration: ModelConfiguration) -> Int {
        guard case .fill(let request) = part else { return part.demand(in: configuration).sequences }
        let tried = request.blanks.contains { $0.length == nil } ? request.longest : 1
        return tried *| part.demand(in: configuration).sequences
    }

    /// - Throws: `.busy`, `.usage`; nothing is called then any more.
    package func begin() throws(LeafError) {
        do throws(LeafError) {
            try submit(state.withLock { takeNext(&$0) })
        } catch {
            state.withLock { $0.isOver = true }
            throw error
        }
    }

    /// The parts for which there is room now.
    private func takeNext(_ state: inout State) -> Range<Int> {
        let first = state.next
        guard state.failure == nil, !state.isOver else { return first..<first }
        while state.next < parts.count,
            state.open.isEmpty || state.sequences +| widths[state.next] <= mostSequences
        {
            state.open.append(state.next)
            state.sequences += widths[state.next]
            state.next += 1
        }
        return first..<state.next
    }

    private func submit(_ taken: Range<Int>) throws(LeafError) {
        guard !taken.isEmpty else { return }
        try model.submit(Array(parts[taken]), cancellation) { [self] index, event in
            take(event, of: taken.lowerBound + index)
        }
    }

    private func take(_ event: AnyRequest.Event, of index: Int) {
        switch event {
        case .piece(let piece):
            if state.withLock({ $0.failure == nil && !$0.isOver }) { receiver.part(index, .piece(piece)) }
        case .progress(let progress):
            // One for all parts that ride together.
            let isNew = state.withLock { state in
                guard !state.isOver, state.open.first == index, state.reported != progress else { return false }
                state.reported = progress
                return true
            }
            if isNew { receiver.progress(progress) }
        case .finished(.success(let answer)) where answer.isInterrupted:
            finish(.failure(LeafError(.cancelled, "stopped")), of: index)
        case .finished(let result): finish(result, of: index)
        }
    }

    private func finish(_ result: Result<AnyRequest.Answer, LeafError>, of index: Int) {
        let isWanted = state.withLock { $0.failure == nil && !$0.isOver }
        switch result {
        case .success(let answer): if isWanted { receiver.part(index, .answer(answer)) }
        case .failure(let error):
            state.withLock { $0.failure = $0.failure ?? error }
            cancellation.cancel()
        }
        let taken = state.withLock { state in
            state.open.removeAll { $0 == index }
            state.sequences -= widths[index]
            return takeNext(&state)
        }
        do throws(LeafError) {
            try submit(taken)
        } catch {
            return end(error)
        }
        let (isDone, failure) = state.withLock { ($0.open.isEmpty, $0.failure) }
        if isDone { end(failure) }
    }

    private func end(_ error: LeafError?) {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
        if isFirst { receiver.end(error) }
    }
}

extension Carrier {
    /// Carries out parts of which the answers alone are wanted.
    ///
    /// - Parameters:
    ///   - parts: at least one.
    ///   - heard: every event of a part, as it comes.
    ///   - end: called once: the answers of all parts in their order, or the first failure.
    /// - Throws: `.busy`, `.usage`; nothing is called then any more.
    package static func answer(
        _ parts: [AnyRequest], on model: Model, mostSequences: Int = .max, _ cancellation: Cancellation,
        heard: @escaping @Sendable (PartEvent) -> Void = { _ in },
        progress: @escaping @Sendable (RequestProgress) -> Void,
        end: @escaping @Sendable (Result<[AnyRequest.Answer], LeafError>) -> Void
    ) throws(LeafError) {
        let answers = PartAnswers(parts.count)
        let receiver = Receiver(
            part: { index, event in
                heard(event)
                if case .answer(let found) = event { answers.take(found, of: index) }
            },
            progress: progress,
            end: { error in end(error.map { .failure($0) } ?? .success(answers.all)) })
        try Carrier(parts, on: model, mostSequences: mostSequences, cancellation, receiver).begin()
    }
}

/// The answers of a request's parts as they come.
private final class PartAnswers: Sendable {
    private let answers: Mutex<[AnyRequest.Answer?]>

    init(_ count: Int) { answers = Mutex(Array(repeating: nil, count: count)) }

    func take(_ answer: AnyRequest.Answer, of index: Int) { answers.withLock { $0[index] = answer } }
    var all: [AnyRequest.Answer] { answers.withLock { $0.compactMap { $0 } } }
}
