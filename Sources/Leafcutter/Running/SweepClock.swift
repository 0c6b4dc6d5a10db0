/// Where a model is in its sweeps.
package struct SweepPosition: Sendable, Equatable {
    /// Sweeps that have ended.
    package var sweeps: Int
    /// What the sweep under way has passed of the model's bytes, 0 to 1.
    package var share: Double

    package init(sweeps: Int, share: Double) {
        self.sweeps = sweeps
        self.share = min(1, max(0, share))
    }
}

/// How far the present sweep is and when it ends, by how long the last ones took.
package struct SweepClock: Sendable {
    package struct Reading: Sendable {
        /// Of the sweep, 0 to 1.
        package let share: Double
        /// That a sweep takes, as far as anybody knows.
        package let seconds: Double
        /// Until the sweep ends; nil while nothing tells.
        package let secondsLeft: Double?

        /// Shorter sweeps show their progress by what comes of them.
        package var isLong: Bool { seconds >= 0.5 }
    }

    /// What so small a part of a sweep took says nothing about the rest.
    private static let tellingShare = 0.05

    private var sweeps = 0
    private var began: ContinuousClock.Instant
    private var lastSeconds: Double?

    /// - Parameter began: when the first sweep did.
    package init(began: ContinuousClock.Instant = .now) { self.began = began }

    package mutating func read(_ position: SweepPosition, at now: ContinuousClock.Instant = .now) -> Reading {
        if position.sweeps != sweeps {
            lastSeconds = (now - began) / .seconds(1) / Double(max(1, position.sweeps - sweeps))
            (sweeps, began) = (position.sweeps, now)
        }
        let elapsed = (now - began) / .seconds(1)
        let expected = position.share > Self.tellingShare ? elapsed / position.share : lastSeconds
        return Reading(
            share: position.share, seconds: max(expected ?? 0, elapsed),
            secondsLeft: expected.flatMap { $0 >= elapsed ? $0 - elapsed : nil })
    }
}

extension Model {
    /// Where it is now; any thread may ask.
    package var sweepPosition: SweepPosition {
        let counters = counters
        return SweepPosition(sweeps: counters.sweeps, share: passes(of: counters).truncatingRemainder(dividingBy: 1))
    }
}
