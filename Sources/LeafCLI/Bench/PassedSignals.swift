import Dispatch
import Glibc
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
    /// Touched in `init` and `deinit` alone.
    private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []

    init() {
        numbers = Self.isIgnored(SIGHUP) ? [SIGTERM] : [SIGTERM, SIGHUP]
        let queue = DispatchQueue(label: "leafcutter.signals", qos: .userInteractive)
        sources = numbers.map { number in
            // The source catches the signal from now on, beside an `Interrupt` that may do so already.
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [weak self] in self?.receive(number) }
            source.activate()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }

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
