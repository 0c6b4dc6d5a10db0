internal import Glibc
internal import Synchronization

/// A thread that does what it is handed, one piece of work after the other, in order.
///
/// Unlike a queue of Dispatch it never waits for a thread to be had: there is one from the beginning, or an error.
package final class SerialThread: Sendable {
    private struct State {
        /// Work in its order; what is done is nil until it is removed.
        var work: [(@Sendable () -> Void)?] = []
        /// The first piece that is not done.
        var next = 0
        var isOver = false

        mutating func take() -> (@Sendable () -> Void)? {
            guard next < work.count else { return nil }
            let piece = work[next]
            work[next] = nil
            next += 1
            if 2 * next >= work.count {
                work.removeFirst(next)
                next = 0
            }
            return piece
        }
    }

    private let monitor = Monitor(State(), events: 1)
    /// The thread's own number; 0 before it runs.
    private let thread: OwnNumber

    private final class OwnNumber: Sendable {
        let value = Atomic<UInt>(0)
    }

    /// - Throws: `.io` when the system starts no more threads.
    package init(system: SystemCalls = .real) throws(LeafError) {
        let thread = OwnNumber()
        self.thread = thread
        // It does not hold its owner, which may go at any time, also on this very thread.
        let status = system.startThread { [monitor] in
            thread.value.store(Self.current, ordering: .releasing)
            while let piece = monitor.wait(for: .work, { state in Self.next(&state) }) { piece() }
        }
        guard status == 0 else { throw .noThread(-status) }
    }

    /// What was handed over before is still done.
    deinit {
        monitor.withLock { $0.isOver = true }
        monitor.wakeAll(.work)
    }

    /// Whether the caller is this thread's work.
    package var isCurrent: Bool { thread.value.load(ordering: .acquiring) == Self.current }

    /// Hands over a piece of work.
    package func async(_ body: @escaping @Sendable () -> Void) {
        monitor.withLock { $0.work.append(body) }
        monitor.wakeOne(.work)
    }

    /// Does a piece of work in its turn, on the calling thread, while the own thread stands still. Not from its own
    /// work.
    package func sync<Value>(_ body: () -> Value) -> Value {
        precondition(!isCurrent)
        let turn = Monitor(Turn.awaited, events: 1)
        async {
            turn.withLock { $0 = .come }
            turn.wakeAll(.work)
            turn.wait(for: .work) { $0 == .over ? () : nil }
        }
        turn.wait(for: .work) { $0 == .come ? () : nil }
        // The caller stands in for the thread, and is itself again before it returns.
        let own = thread.value.exchange(Self.current, ordering: .acquiringAndReleasing)
        let value = body()
        thread.value.store(own, ordering: .releasing)
        turn.withLock { $0 = .over }
        turn.wakeAll(.work)
        return value
    }

    private enum Turn {
        case awaited, come, over
    }

    private static var current: UInt { UInt(pthread_self()) }

    private static func next(_ state: inout State) -> (@Sendable () -> Void)?? {
        if let piece = state.take() { return .some(piece) }
        return state.isOver ? .some(nil) : nil
    }
}

extension Monitor.Event {
    fileprivate static var work: Self { Self(0) }
}
