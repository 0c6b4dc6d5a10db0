import Dispatch
import LeafGeneration
import Synchronization

/// Events of numbered requests, on their way from the engine's queue to one thread that waits for them.
///
/// Of progress it keeps the newest alone. Other events are no more than the tokens of the requests under way.
final class Mailbox<Answer: Sendable>: Sendable {
    typealias Event = RequestEvent<Answer>

    private struct Contents {
        var events: [(number: Int, event: Event)] = []
        /// The number of `events` that were taken.
        var taken = 0
        var progress: (number: Int, progress: RequestProgress)?

        mutating func next() -> (number: Int, event: Event)? {
            guard taken < events.count else {
                defer { progress = nil }
                return progress.map { ($0.number, .progress($0.progress)) }
            }
            let next = events[taken]
            taken += 1
            // Removes events only when half are taken, so that few are moved.
            if 2 * taken >= events.count {
                events.removeFirst(taken)
                taken = 0
            }
            // Nothing comes after the last event of a request.
            if case .finished = next.event, progress?.number == next.number { progress = nil }
            return next
        }
    }

    private let contents = Mutex(Contents())
    private let arrivals = DispatchSemaphore(value: 0)

    func put(_ event: Event, of number: Int) {
        contents.withLock { contents in
            if case .progress(let progress) = event {
                contents.progress = (number, progress)
            } else {
                contents.events.append((number, event))
            }
        }
        arrivals.signal()
    }

    /// The next event; waits until there is one.
    ///
    /// - Parameter milliseconds: how long to wait at most; nil for as long as it takes.
    /// - Returns: nil if none came in time.
    func next(within milliseconds: Int? = nil) -> (number: Int, event: Event)? {
        let end: DispatchTime = milliseconds.map { .now() + .milliseconds($0) } ?? .distantFuture
        while arrivals.wait(timeout: end) == .success {
            // A progress that was replaced by a newer one leaves a signal without an event.
            if let next = contents.withLock({ $0.next() }) { return next }
        }
        return nil
    }
}
