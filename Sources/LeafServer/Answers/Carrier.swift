import CPMAntShape
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter
import Synchronization

/// Carries out the parts of one request: some of them at a time, so that one request does not fill all sweeps, and
/// memory does not grow with their number.
final class Carrier: Sendable {
    /// What becomes of the parts. All of it is called on the engine's queue, one after the other.
    struct Receiver: Sendable {
        /// A piece of a part's text, or its answer.
        let part: @Sendable (_ index: Int, _ event: PartEvent) -> Void
        let progress: @Sendable (RequestProgress) -> Void
        /// Nothing comes behind it: nil once all parts have their answers.
        let end: @Sendable (LeafError?) -> Void
    }

    enum PartEvent {
        case piece(GeneratedPiece)
        case answer(AnyRequest.Answer)
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
    init(
        _ parts: [AnyRequest], on model: Model, mostSequences: Int, _ cancellation: Cancellation, _ receiver: Receiver
    ) {
        (self.model, self.parts, self.mostSequences, self.receiver) = (model, parts, mostSequences, receiver)
        widths = parts.map { Self.width(of: $0, in: model.file.configuration) }
        self.cancellation = Cancellation(parent: cancellation)
    }

    /// The sequences that a part has at the same time. The lengths of an open blank are parts of their own to the
    /// model, so that one that is wider than it goes on all the same.
    static func width(of part: AnyRequest, in configuration: ModelConfiguration) -> Int {
        guard case .fill(let request) = part else { return part.demand(in: configuration).sequences }
        let tried = request.blanks.contains { $0.length == nil } ? request.longest : 1
        return tried *| part.demand(in: configuration).sequences
    }

    /// - Throws: `.busy`, `.usage`; nothing is called then any more.
    func begin() throws(LeafError) {
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
            state.open.isEmpty || state.sequences + widths[state.next] <= mostSequences
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
