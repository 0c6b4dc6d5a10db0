import Dispatch
import Leafcutter
import Synchronization

/// Requests under way: they come one after another and ride on shared sweeps, no more than `ahead` of them at a time.
struct RequestFlow<Request, Message: Sendable> {
    enum Next {
        case request(Request)
        /// Nothing came in time.
        case later
        case end
    }

    let model: Model
    /// Twice what rides together keeps every sweep full.
    let ahead: Int

    /// How long a wait lasts before anybody asks again, in milliseconds.
    private static var patience: Int { 50 }

    /// Runs all of them.
    ///
    /// - Parameters:
    ///   - isCancelled: asked many times a second; those that have begun are then stopped, and no other begins.
    ///   - next: the next request. It waits no longer than told.
    ///   - begin: what makes a request join the sweeps.
    ///   - take: handed what comes of a request, on the calling thread; says whether it was the last of it.
    /// - Throws: what `next` throws, once those under way have ended.
    func run(
        isCancelled: () -> Bool,
        next: (_ milliseconds: Int32) throws(LeafError) -> Next,
        begin: (_ request: Request, _ cancellation: Cancellation, _ deliver: @escaping @Sendable (Message) -> Void)
            throws(LeafError) -> Submission,
        take: (_ request: inout Request, _ message: Message) -> Bool
    ) throws(LeafError) {
        let mailbox = Mailbox<(number: Int, message: Message)>()
        let cancellation = Cancellation()
        var underWay: [Int: Request] = [:]
        var (begun, isAtEnd) = (0, false)
        var failure: LeafError?
        while !underWay.isEmpty || !isAtEnd {
            if isCancelled() {
                cancellation.cancel()
                isAtEnd = true
            }
            var submissions: [Submission] = []
            do throws(LeafError) {
                coming: while !isAtEnd, underWay.count < ahead {
                    switch try next(Int32(underWay.isEmpty ? Self.patience : 0)) {
                    case .end: isAtEnd = true
                    case .later: break coming
                    case .request(let request):
                        let number = begun
                        submissions.append(
                            try begin(request, cancellation) { mailbox.put((number, $0)) })
                        underWay[number] = request
                        begun += 1
                    }
                }
            } catch {
                failure = error
                isAtEnd = true
            }
            model.begin(submissions)
            var wait = underWay.isEmpty ? 0 : Self.patience
            while let (number, message) = mailbox.next(within: wait) {
                guard var request = underWay.removeValue(forKey: number) else { continue }
                if !take(&request, message) { underWay[number] = request }
                wait = 0
            }
        }
        if let failure { throw failure }
    }
}

/// Messages from the model's thread to the one that waits for them.
private final class Mailbox<Message: Sendable>: Sendable {
    private struct State {
        /// Newest first, so that the oldest is taken from the end.
        var waiting: [Message] = []
        var arrived: [Message] = []
    }
    private let state = Mutex(State())
    private let arrivals = DispatchSemaphore(value: 0)

    func put(_ message: Message) {
        state.withLock { $0.arrived.append(message) }
        arrivals.signal()
    }

    /// The oldest message; nil if none comes in time.
    func next(within milliseconds: Int) -> Message? {
        guard arrivals.wait(timeout: .now() + .milliseconds(milliseconds)) == .success else { return nil }
        return state.withLock { state in
            if state.waiting.isEmpty {
                state.waiting = state.arrived.reversed()
                state.arrived.removeAll(keepingCapacity: true)
            }
            return state.waiting.popLast()
        }
    }
}
