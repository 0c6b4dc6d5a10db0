import LeafSystem
import Leafcutter

/// How far a command is: one value for all of them. Whoever works sets what it counts; `ProgressLine` adds the sweep
/// and the time.
package struct Progress: Sendable {
    /// What the sweep under way is to the work.
    package enum SweepRole: Sendable {
        /// The work ends with it, as that of a prompt does.
        case whole
        /// One of many: the next token comes with its end.
        case step
        /// One of those that `done` counts, so that its part counts, too.
        case counted
    }

    /// What is being done: `generating`.
    package var phase: String
    /// What is finished of what there is: `3 of 8 requests`; `skipped` an earlier run had finished. The total is nil
    /// where nobody knows it.
    package var done: (count: Int, total: Int?, unit: String, skipped: Int)?
    /// What of that has failed.
    package var failed = 0
    /// Bytes that are done of all of them; `skipped` an earlier run had done.
    package var bytes: (done: Int, total: Int, skipped: Int)?
    /// Tokens so far, and those that come in a second.
    package var tokens: (count: Int, perSecond: Double)?
    /// On the sweep under way; 0 where nobody knows.
    package var rows = 0
    /// Nil while no sweep is a part of the work.
    package var sweep: SweepRole?
    /// Whether something else moves on the terminal unless sweeps are slow: the text itself.
    package var showsSlowSweepsAlone = false

    package init(_ phase: String) { self.phase = phase }

    /// Work on a known number of bytes.
    package init(_ phase: String, bytes done: Int, of total: Int, skipped: Int = 0) {
        self.phase = phase
        bytes = (done, total, skipped)
    }

    /// Work on things that are counted.
    package init(_ phase: String, _ count: Int, of total: Int? = nil, _ unit: String, skipped: Int = 0) {
        self.phase = phase
        done = (count, total, unit, skipped)
    }

    /// Seconds from which on a rate says something.
    private static let soonestRate = 0.5

    /// `generating: 3 of 8 requests, 57 tokens, 4.10 a second, 8 rows, sweep 41 %, next in 2.0 s, 3 min 10 s left`
    ///
    /// - Parameters:
    ///   - seconds: since the phase began.
    ///   - reading: of the sweep under way, if there is one.
    ///   - columns: a text that needs more loses its last parts, and what is left is cut.
    package func text(after seconds: Double, sweep reading: SweepClock.Reading? = nil, columns: Int = .max) -> String {
        var parts = parts(after: seconds, reading)
        func text() -> String { (phase + (parts.isEmpty ? "" : ": " + parts.joined(separator: ", "))).printable }
        while !parts.isEmpty, TerminalWidth.of(text()) > columns { parts.removeLast() }
        return TerminalWidth.fitted(text(), to: columns)
    }

    /// The parts, what matters most first.
    private func parts(after seconds: Double, _ reading: SweepClock.Reading?) -> [String] {
        var parts: [String] = []
        if let bytes { parts.append("\(Self.percent(Double(bytes.done), of: Double(bytes.total))) %") }
        if let done {
            parts.append(
                done.total.map { "\(done.count) of \(Quantity.count($0, done.unit))" }
                    ?? Quantity.count(done.count, done.unit))
        }
        if failed > 0 { parts.append("\(failed) failed") }
        if let tokens {
            parts.append(Quantity.count(tokens.count, "token"))
            if tokens.perSecond > 0 {
                parts.append("\(tokens.perSecond.fixed(tokens.perSecond < 10 ? 2 : 0)) a second")
            }
        }
        let left = secondsLeft(after: seconds, reading)
        var moves = left != nil
        if let reading, sweep != nil, reading.isLong {
            if rows > 1 { parts.append("\(rows) rows") }
            parts.append("sweep \((100 * reading.share).fixed(0)) %")
            if sweep != .whole, let next = reading.secondsLeft {
                parts.append("next in \(Self.rest(next))")
                moves = true
            }
        }
        if let left { parts.append("\(Self.rest(left)) left") }
        if let bytes {
            parts.append("\(ByteCount(bytes: bytes.done)) of \(ByteCount(bytes: bytes.total))")
            if let rate = rate(of: bytes, after: seconds) { parts.append(rate.asByteRate) }
        }
        // Time itself moves where nothing else does.
        if !moves, seconds >= 1 { parts.append("\(Int(min(seconds, 1e9))) s") }
        return parts
    }

    /// Until the phase ends, as far as its beginning tells.
    private func secondsLeft(after seconds: Double, _ reading: SweepClock.Reading?) -> Double? {
        if let bytes {
            return rate(of: bytes, after: seconds).map { Double(max(0, bytes.total - bytes.done)) / $0 }
        }
        if sweep == .whole { return reading.flatMap { $0.isLong ? $0.secondsLeft : nil } }
        guard let done, let total = done.total, done.count > done.skipped, seconds >= Self.soonestRate else {
            return nil
        }
        let part = sweep == .counted ? reading?.share ?? 0 : 0
        return seconds * max(0, Double(total - done.count) - part) / (Double(done.count - done.skipped) + part)
    }

    private func rate(of bytes: (done: Int, total: Int, skipped: Int), after seconds: Double) -> Double? {
        let rate = Double(bytes.done - bytes.skipped) / max(seconds, 1e-9)
        return seconds > Self.soonestRate && rate > 0 ? rate : nil
    }

    private static func percent(_ part: Double, of whole: Double) -> String {
        (whole > 0 ? min(100, 100 * part / whole) : 100).fixed(0)
    }

    /// A time that changes while one looks: tenths of a second at most.
    private static func rest(_ seconds: Double) -> String {
        seconds < 9.95 ? "\(seconds.fixed(1)) s" : seconds.asDuration
    }
}
