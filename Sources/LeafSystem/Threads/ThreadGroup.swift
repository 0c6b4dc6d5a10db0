/// Threads that can be waited for. They hold what they use; a group may go before its threads end.
package final class ThreadGroup: Sendable {
    private let running = Monitor(0, events: 1)
    private let system: SystemCalls

    package init(system: SystemCalls = .real) { self.system = system }

    /// Runs `body` on a thread of its own.
    /// - Throws: `.io` when the system starts no more threads.
    package func start(_ body: @escaping @Sendable () -> Void) throws(LeafError) {
        running.withLock { $0 += 1 }
        let end: @Sendable () -> Void = { [running] in
            running.withLock { $0 -= 1 }
            running.wakeAll(.end)
        }
        let status = system.startThread {
            body()
            end()
        }
        guard status == 0 else {
            end()
            throw .noThread(-status)
        }
    }

    /// Waits until all threads that were started have ended.
    package func wait() { running.wait(for: .end) { $0 == 0 ? () : nil } }
}

extension Monitor.Event {
    fileprivate static var end: Self { Self(0) }
}

extension LeafError {
    /// - Parameter code: of the system, `EAGAIN` for all limits.
    package static func noThread(_ code: Int32) -> LeafError {
        LeafError(
            .io,
            "no more threads can be started (\(reason(of: code))); "
                + "raise the limit on processes or on memory, or use fewer threads")
    }
}
