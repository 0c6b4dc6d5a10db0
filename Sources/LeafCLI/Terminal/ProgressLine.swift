import Glibc
import LeafSystem
import Leafcutter

/// What is going on, on standard error: on a terminal one line that is rewritten in place, some times a second even
/// when the command says nothing new; elsewhere, and where `TERM` names no terminal that can, a plain line now and
/// then.
///
/// It knows what else is written to the terminal. A text that does not end with its line keeps its place: the line
/// stands below it, and is gone before more of the text comes.
final class ProgressLine: Sendable {
    private struct State {
        var progress: Progress?
        /// When the phase did.
        var began = ContinuousClock.now
        var lastShown: ContinuousClock.Instant?
        /// Until the next plain line.
        var interval: Duration
        var isDrawn = false
        var cursor = TextCursor()
        var hasTicker = false
        var position: (@Sendable () -> SweepPosition?)?
        var clock = SweepClock()
    }

    private let isShown: Bool
    private let isTerminal: Bool
    /// Whether it is a terminal that can move its cursor, and has room for a line of progress.
    private let isLive: Bool
    private let isVerbose: Bool
    private let state: Monitor<State>

    /// Between two looks of a line on a terminal.
    private static let liveInterval = Duration.milliseconds(100)
    private static let tickMicroseconds: UInt32 = 200_000
    /// Plain lines come less and less often, so that an hour's log is no longer than a page.
    private static let plainIntervals = (first: Duration.seconds(10), last: Duration.seconds(300))
    private static let verboseInterval = Duration.seconds(3)

    init(isShown: Bool, isVerbose: Bool) {
        self.isShown = isShown
        self.isVerbose = isVerbose
        isTerminal = isatty(STDERR_FILENO) == 1
        isLive = isTerminal && Self.movesCursor && TerminalWidth.columns >= TerminalWidth.fewest
        var state = State(interval: isVerbose ? Self.verboseInterval : Self.plainIntervals.first)
        // If it is not a terminal, short work prints nothing.
        state.lastShown = isLive ? nil : .now
        self.state = Monitor(state)
    }

    private static var movesCursor: Bool {
        guard let name = getenv("TERM") else { return false }
        return !["", "dumb"].contains(String(cString: name))
    }

    /// From now on a progress with a sweep shows where this model is.
    func follow(_ model: Model) {
        let position: @Sendable () -> SweepPosition? = { [weak model] in model?.sweepPosition }
        state.withLock {
            $0.position = position
            $0.clock = SweepClock()
        }
    }

    /// Shows how far the work is, until `clear`.
    func show(_ progress: Progress) {
        guard isShown else { return }
        let startsTicker = state.withLock { state in
            if progress.phase != state.progress?.phase { state.began = .now }
            state.progress = progress
            draw(&state)
            defer { state.hasTicker = true }
            return isLive && !state.hasTicker
        }
        guard startsTicker else { return }
        // Where no thread can be started, the line moves when the command says so.
        _ = SystemCalls.real.startThread { [weak self] in
            while self?.tick() == true { usleep(Self.tickMicroseconds) }
        }
    }

    /// Shows a phase of which nothing is counted.
    func show(_ phase: String) { show(Progress(phase)) }

    /// The work is over: takes the line away.
    func clear() {
        state.withLock { state in
            erase(&state)
            state.progress = nil
        }
    }

    /// Lets somebody write to the terminal while the line is out of the way.
    ///
    /// - Parameter write: handed the cursor, which it moves.
    func aside(_ write: (_ cursor: inout TextCursor) -> Void) {
        state.withLock { state in
            erase(&state)
            write(&state.cursor)
        }
    }

    private func tick() -> Bool {
        state.withLock { draw(&$0) }
        return true
    }

    // MARK: With the lock held

    /// Shows the progress if it is time to.
    private func draw(_ state: inout State) {
        guard let progress = state.progress else { return }
        let now = ContinuousClock.now
        if let last = state.lastShown, now - last < (isLive ? Self.liveInterval : state.interval) { return }
        let reading = progress.sweep == nil ? nil : state.position?().map { state.clock.read($0, at: now) }
        guard !progress.showsSlowSweepsAlone || reading?.isLong == true else { return erase(&state) }
        // A plain line may not stand in the middle of a text.
        if isTerminal, !isLive, state.cursor.column > 0 { return }
        state.lastShown = now
        let seconds = (now - state.began) / .seconds(1)
        guard isLive else {
            if !isVerbose { state.interval = min(state.interval * 2, Self.plainIntervals.last) }
            return StandardError.write(progress.text(after: seconds, sweep: reading) + "\n")
        }
        let columns = TerminalWidth.columns
        // It may have become narrow meanwhile.
        guard columns >= TerminalWidth.fewest else { return erase(&state) }
        let text = progress.text(after: seconds, sweep: reading, columns: columns - 1)
        guard state.cursor.column > 0 else {
            state.isDrawn = true
            return StandardError.write("\r\u{1B}[K" + text)
        }
        if !state.cursor.hasRoomBelow {
            // Behind a full line the cursor waits in a way that moving it ends; the next letter is soon there.
            guard state.cursor.column < columns else { return }
            // Down and up again: a screen that scrolls later would move the place that is kept.
            StandardError.write("\u{1B}D\u{1B}M")
            state.cursor.hasRoomBelow = true
        }
        state.isDrawn = true
        StandardError.write("\u{1B}7\r\n\u{1B}[K\(text)\u{1B}8")
    }

    /// Takes the line away and leaves the cursor where the text goes on.
    private func erase(_ state: inout State) {
        guard state.isDrawn else { return }
        state.isDrawn = false
        StandardError.write(state.cursor.column > 0 ? "\u{1B}7\r\n\u{1B}[K\u{1B}8" : "\r\u{1B}[K")
    }
}
