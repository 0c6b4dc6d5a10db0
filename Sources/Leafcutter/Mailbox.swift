import Dispatch
import LeafGeneration
import Synchronization

/// Messages from the engine's thread to one that waits for them.
final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let arrivals = DispatchSemaphore(value: 0)

    func put(_ message: Message) {
        messages.withLock { $0.append(message) }
        arrivals.signal()
    }

    /// The next message, or nil if none comes in time.
    func next(within time: DispatchTimeInterval) -> Message? {
        guard arrivals.wait(timeout: .now() + time) == .success else { return nil }
        return messages.withLock { $0.removeFirst() }
    }
}

extension Model {
    /// Runs a track for each place, and hands over what comes of it on the calling thread until all have finished.
    ///
    /// - Parameters:
    ///   - isCancelled: asked many times a second; all tracks are then asked to stop.
    ///   - track: what makes a place's track on the engine's thread.
    ///   - take: says whether the message was the last of its place.
    func collect<Message: Sendable>(
        _ count: Int, isCancelled: () -> Bool,
        track: (_ place: Int, _ cancellation: Cancellation, _ deliver: @escaping @Sendable (Message) -> Void)
            -> Engine.TrackMaker,
        take: (_ place: Int, _ message: Message) -> Bool
    ) {
        collect(count, isCancelled: isCancelled, tracks: { [track($0, $1, $2)] }, take: take)
    }

    /// The same with any number of tracks for each place.
    func collect<Message: Sendable>(
        _ count: Int, isCancelled: () -> Bool,
        tracks: (_ place: Int, _ cancellation: Cancellation, _ deliver: @escaping @Sendable (Message) -> Void)
            -> [Engine.TrackMaker],
        take: (_ place: Int, _ message: Message) -> Bool
    ) {
        collect(
            ahead: .max, isCancelled: isCancelled,
            tracks: { place, cancellation, deliver in
                place < count ? tracks(place, cancellation, deliver) : nil
            }, take: take)
    }

    /// The same with places that come one after another, of which no more than `ahead` are under way.
    ///
    /// - Parameter tracks: nil after the last place. What it throws is thrown when those under way have stopped.
    func collect<Message: Sendable, Failure: Error>(
        ahead: Int, isCancelled: () -> Bool,
        tracks: (_ place: Int, _ cancellation: Cancellation, _ deliver: @escaping @Sendable (Message) -> Void)
            throws(Failure) -> [Engine.TrackMaker]?,
        take: (_ place: Int, _ message: Message) -> Bool
    ) throws(Failure) {
        let mailbox = Mailbox<(place: Int, message: Message)>()
        let cancellation = Cancellation()
        var (begun, left, isAtEnd) = (0, 0, false)
        var failure: Failure?
        repeat {
            var makers: [Engine.TrackMaker] = []
            while !isAtEnd, !cancellation.isCancelled, left < ahead {
                let place = begun
                do throws(Failure) {
                    guard let more = try tracks(place, cancellation, { mailbox.put((place, $0)) }) else {
                        isAtEnd = true
                        break
                    }
                    makers += more
                    begun += 1
                    left += 1
                } catch {
                    failure = error
                    cancellation.cancel()
                }
            }
            if !makers.isEmpty { engine.add(makers) }
            if isCancelled() { cancellation.cancel() }
            if left > 0, let next = mailbox.next(within: .milliseconds(50)), take(next.place, next.message) {
                left -= 1
            }
        } while left > 0 || !(isAtEnd || cancellation.isCancelled)
        if let failure { throw failure }
    }
}
