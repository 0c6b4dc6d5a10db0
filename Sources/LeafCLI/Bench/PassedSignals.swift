import Glibc
import Leafcutter
import Synchronization

/// SIGTERM and SIGHUP, which are sent to one process: from now on until the program ends they go on to its child.
final class PassedSignals: Sendable {
    private struct State {
        var process: pid_t?
        /// What came last.
        var received: Int32?
    }

    /// Without SIGHUP where it was ignored from the start (nohup): then it means nothing to the child either.
    let numbers: [Int32]
    private let state = Mutex(State())

    /// - Throws: `.io` when the system starts no more threads.
    init() throws(LeafError) {
        numbers = Self.isIgnored(SIGHUP) ? [SIGTERM] : [SIGTERM, SIGHUP]
        // A thread takes them from now on, not the handlers of an `Interrupt` that may be there already.
        block(true)
        try ThreadGroup().start { [weak self, numbers] in
            var (set, number) = (numbers.signalSet, Int32(0))
            while sigwait(&set, &number) == 0 {
                guard let self else { return }
                receive(number)
            }
        }
    }

    deinit { block(false) }

    private func block(_ isBlocked: Bool) {
        var set = numbers.signalSet
        pthread_sigmask(isBlocked ? SIG_BLOCK : SIG_UNBLOCK, &set, nil)
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        let handler = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        return handler == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    private func receive(_ number: Int32) {
        state.withLock { state in
            state.received = number
            if let process = state.process { kill(process, number) }
        }
    }

    /// Whether one has come, with a child or without.
    var hasReceived: Bool { state.withLock { $0.received != nil } }

    /// The child is there; it gets what has come before it, too.
    func begin(passingTo process: pid_t) {
        state.withLock { state in
            state.process = process
            if let received = state.received { kill(process, received) }
        }
    }

    /// The child is gone.
    func end() { state.withLock { $0.process = nil } }
}
