package import LeafSystem
import Synchronization

/// Who wants the sweep that is under way. When the last of them has lost interest it is broken off, also while it waits
/// for the disk.
package final class SweepInterest: Sendable {
    private struct Sweep {
        var isUnderWay = false
        var isBroken = false
        /// Their room stays.
        var riders: [Cancellation] = []
    }

    private let sweep = Mutex(Sweep())
    private let interrupt: @Sendable () -> Void
    private let resume: @Sendable () -> Void

    /// - Parameters:
    ///   - interrupt: makes whoever waits for the disk fail with `.cancelled`, until `resume`. Called on the thread of
    ///     whoever loses interest, during a sweep.
    ///   - resume: called after a sweep that was interrupted, whatever became of it.
    package init(interrupt: @escaping @Sendable () -> Void, resume: @escaping @Sendable () -> Void) {
        self.interrupt = interrupt
        self.resume = resume
    }

    /// - Parameters:
    ///   - riders: those who want the sweep.
    ///   - body: the sweep. It looks at `isCancelled` of the riders before it waits for anything.
    package func whileWanted(
        by riders: some Sequence<Cancellation>, _ body: () throws(LeafError) -> Void
    ) throws(LeafError) {
        sweep.withLock { sweep in
            for rider in riders { sweep.riders.append(rider) }
            (sweep.isUnderWay, sweep.isBroken) = (true, false)
        }
        // The next sweep must not find the interruption of this one, which may have come too late for it.
        defer { if end() { resume() } }
        try body()
    }

    /// To be called after each cancellation, from any thread.
    package func review() {
        sweep.withLock { sweep in
            guard sweep.isUnderWay, !sweep.isBroken, sweep.riders.allSatisfy(\.isCancelled) else { return }
            sweep.isBroken = true
            // Inside, so that it does not come when the sweep is over.
            interrupt()
        }
    }

    /// - Returns: whether the sweep was interrupted.
    private func end() -> Bool {
        sweep.withLock { sweep in
            sweep.riders.removeAll(keepingCapacity: true)
            sweep.isUnderWay = false
            return sweep.isBroken
        }
    }
}
