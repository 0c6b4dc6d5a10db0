import Dispatch
import Glibc
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// A request under way, from its start to the last of its events that is read.
final class HostRequest: Sendable {
    /// What reading gives.
    enum Reading {
        case event(HostEvent)
        case timeout
        case end
        case failed(HostError)
        /// Somebody freed it.
        case freed
    }

    private struct State {
        /// Events that were not read, in their order; those that were are nil until they are removed.
        var events: [HostEvent?] = []
        var next = 0
        /// The newest alone.
        var progress: RequestProgress?
        var failure: HostError?
        /// Nothing more comes.
        var isOver = false
        var isFreed = false
        /// What goes on once all events are read; nil unless it waits for that.
        var rest: (@Sendable () -> Void)?

        mutating func take() -> HostEvent? {
            guard next < events.count else { return nil }
            let event = events[next]
            events[next] = nil
            next += 1
            // Removes events only when half are read, so that few are moved.
            if 2 * next >= events.count {
                events.removeFirst(next)
                next = 0
            }
            return event
        }

        var hasUnread: Bool { next < events.count }
    }

    let cancellation = Cancellation()
    private let wantsProgress: Bool
    private let share: RequestRoom.Share
    private let monitor = Monitor(State(), events: 1)
    /// Called when nothing more comes.
    private let whenOver: @Sendable (HostRequest) -> Void

    init(_ wishes: RequestWishes, _ share: RequestRoom.Share, whenOver: @escaping @Sendable (HostRequest) -> Void) {
        (wantsProgress, self.share, self.whenOver) = (wishes.progress, share, whenOver)
    }

    // MARK: What comes of it

    func tell(_ content: HostEvent.Content) {
        monitor.withLock { state in
            if case .progress(let progress) = content {
                if wantsProgress, !state.isOver { state.progress = progress }
            } else if !state.isFreed {
                state.events.append(HostEvent(content))
            }
        }
        monitor.wakeAll(.arrival)
    }

    /// - Parameter error: nil if all went well.
    func finish(_ error: LeafError? = nil) {
        let isFirst = monitor.withLock { state in
            guard !state.isOver else { return false }
            state.isOver = true
            state.progress = nil
            state.failure = error.map { $0.kind == .cancelled ? .stopped : HostError($0) }
            state.rest = nil
            return true
        }
        guard isFirst else { return }
        monitor.wakeAll(.arrival)
        whenOver(self)
    }

    /// Goes on once all events have been read, so that no more of them are held at the same time. Ends if the request
    /// is cancelled first.
    func whenRead(_ rest: @escaping @Sendable () -> Void) {
        let isNow = monitor.withLock { state in
            guard state.hasUnread, !state.isFreed else { return true }
            state.rest = rest
            return false
        }
        if isNow { rest() }
        // Cancelling looked for it before it was there.
        if cancellation.isCancelled { endWaiting() }
    }

    // MARK: What the host does with it

    /// - Parameter milliseconds: how long to wait at most; negative for as long as it takes.
    func read(within milliseconds: Int32) -> Reading {
        let reading: Reading
        if milliseconds < 0 {
            reading = monitor.wait(for: .arrival) { Self.reading(&$0) }
        } else {
            let end = DispatchTime.now().uptimeNanoseconds + UInt64(milliseconds) * 1_000_000
            var found = monitor.withLock { Self.reading(&$0) }
            while found == nil {
                let isLate = monitor.sleep(until: end, for: .arrival) { Self.hasReading($0) }
                found = monitor.withLock { Self.reading(&$0) }
                if isLate { break }
            }
            reading = found ?? .timeout
        }
        if case .event = reading {
            let rest = monitor.withLock { state -> (@Sendable () -> Void)? in
                guard !state.hasUnread else { return nil }
                defer { state.rest = nil }
                return state.rest
            }
            rest?()
        }
        return reading
    }

    func cancel() {
        cancellation.cancel()
        endWaiting()
    }

    /// Whoever reads it learns that it is gone.
    func free() {
        monitor.withLock { state in
            state.isFreed = true
            state.events = []
            state.next = 0
            state.progress = nil
        }
        monitor.wakeAll(.arrival)
        cancel()
        share.letGo()
    }

    /// Ends a cancelled request of which nothing is under way.
    private func endWaiting() {
        let waited = monitor.withLock { state in
            defer { state.rest = nil }
            return state.rest != nil
        }
        if waited { finish(LeafError(.cancelled, "stopped")) }
    }

    private static func hasReading(_ state: State) -> Bool {
        state.isFreed || state.hasUnread || state.progress != nil || state.isOver
    }

    private static func reading(_ state: inout State) -> Reading? {
        if state.isFreed { return .freed }
        if let event = state.take() { return .event(event) }
        if let progress = state.progress {
            state.progress = nil
            return .event(HostEvent(.progress(progress)))
        }
        if let failure = state.failure {
            state.failure = nil
            return .failed(failure)
        }
        return state.isOver ? .end : nil
    }
}

extension Monitor.Event {
    fileprivate static var arrival: Self { Self(0) }
}
