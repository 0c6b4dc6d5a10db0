import Leafcutter

/// How far a command is: one value for all of them, whoever counts.
struct Progress {
    /// `generating`
    var phase: String
    /// What was done of what there is to do: `3 of 8 requests`.
    var done: (count: Int, total: Int?, unit: String)?
    /// Tokens so far, and those that came in a second.
    var tokens: (count: Int, perSecond: Double)?
    var sweep: SweepClock.Reading?

    /// Shorter sweeps show their progress by what comes of them.
    private static let longSweep = 0.5

    /// `generating: 12 tokens, 0.11 a second, 3 of 8 requests, sweep 41 %, 5.2 s left of it`
    var text: String {
        var parts: [String] = []
        if let tokens {
            parts.append(Quantity.count(tokens.count, "token"))
            if tokens.perSecond > 0 {
                parts.append("\(tokens.perSecond.fixed(tokens.perSecond < 10 ? 2 : 0)) a second")
            }
        }
        if let done {
            parts.append(
                done.total.map { "\(done.count) of \(Quantity.count($0, done.unit))" }
                    ?? Quantity.count(done.count, done.unit))
        }
        if let sweep, sweep.seconds >= Self.longSweep {
            parts.append("sweep \((100 * sweep.share).fixed(0)) %")
            if let left = sweep.secondsLeft { parts.append("next in \(left.asDuration)") }
        }
        return phase + (parts.isEmpty ? "" : ": " + parts.joined(separator: ", "))
    }

    /// Whether anything of it changes slowly enough to be worth a look between two tokens.
    var isSlow: Bool { (sweep?.seconds ?? 0) >= Self.longSweep }
}

/// How far the present sweep is and when it ends, by how long the last ones took.
package struct SweepClock {
    package struct Reading {
        /// Of the sweep, 0 to 1.
        package let share: Double
        /// That a sweep takes, as far as anybody knows.
        package let seconds: Double
        /// Until the sweep ends; nil while nothing tells.
        package let secondsLeft: Double?
    }

    private var sweeps = 0
    private var began: ContinuousClock.Instant
    private var lastSeconds: Double?

    /// - Parameter began: when the first sweep did.
    package init(began: ContinuousClock.Instant = .now) { self.began = began }

    /// - Parameters:
    ///   - chunksDone: of the sweep under way.
    ///   - chunkCount: of a sweep.
    ///   - sweeps: that have ended.
    package mutating func read(
        chunksDone: Int, of chunkCount: Int, sweeps: Int, at now: ContinuousClock.Instant = .now
    ) -> Reading {
        if sweeps != self.sweeps {
            lastSeconds = (now - began) / .seconds(1) / Double(max(1, sweeps - self.sweeps))
            (self.sweeps, began) = (sweeps, now)
        }
        let share = min(1, max(0, Double(chunksDone) / Double(max(1, chunkCount))))
        let elapsed = (now - began) / .seconds(1)
        let expected = share > 0.05 ? elapsed / share : lastSeconds
        return Reading(
            share: share, seconds: max(expected ?? 0, elapsed),
            secondsLeft: expected.map { max(0, $0 * (1 - share)) })
    }

    mutating func read(_ model: Model) -> Reading {
        let counters = model.counters
        let count = model.plan.chunkCount
        return read(chunksDone: counters.chunksServed % max(1, count), of: count, sweeps: counters.sweeps)
    }
}
