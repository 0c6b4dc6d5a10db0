import Glibc
import LeafSystem
import Leafcutter

/// What is going on, on standard error: on a terminal one line that is rewritten in place at most ten times a second,
/// elsewhere a plain line every ten seconds (every three with `--verbose`).
///
/// While a text is being written to the same terminal, it stands behind that text and is gone before more comes.
final class ProgressLine {
    private let isShown: Bool
    private let isLive: Bool
    private let interval: Duration
    private let output: Output
    private var lastShown: ContinuousClock.Instant?
    private var hasLine = false

    /// Less room than this behind a text is not worth a word.
    private static let leastColumns = 16

    init(isShown: Bool, isVerbose: Bool, beside output: Output) {
        self.isShown = isShown
        self.output = output
        isLive = isatty(STDERR_FILENO) == 1
        interval = isLive ? .milliseconds(100) : isVerbose ? .seconds(3) : .seconds(10)
        // If it is not a terminal, short work prints nothing.
        lastShown = isLive ? nil : .now
    }

    /// Shows a text if it is time for one.
    func show(_ text: @autoclosure () -> String) {
        guard isShown else { return }
        let now = ContinuousClock.now
        if let lastShown, now - lastShown < interval { return }
        lastShown = now
        guard isLive else { return StandardError.write(text().printable + "\n") }
        let column = output.column
        let room = TerminalWidth.columns - column - 1
        guard column > 0 else {
            hasLine = true
            return StandardError.write("\r\u{1B}[K" + TerminalWidth.fitted(text().printable, to: room).text)
        }
        guard room >= Self.leastColumns else { return clear() }
        hasLine = true
        let (fitting, width) = TerminalWidth.fitted("  [\(text().printable)]", to: room)
        // Erases what was there, writes, and leads the cursor back behind the text.
        StandardError.write("\u{1B}[K" + fitting + "\u{1B}[\(width)D")
    }

    /// Clears the line before something else is written.
    func clear() {
        guard hasLine else { return }
        hasLine = false
        StandardError.write(output.column > 0 ? "\u{1B}[K" : "\r\u{1B}[K")
    }
}
