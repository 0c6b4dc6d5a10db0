import Glibc
import Leafcutter

/// What is going on, on standard error: on a terminal one line that is rewritten in place at most ten times a second,
/// elsewhere a plain line every ten seconds.
final class ProgressLine {
    private let isShown: Bool
    private let isLive: Bool
    private let interval: Duration
    private var lastShown: ContinuousClock.Instant?
    private var hasLine = false

    init(isShown: Bool) {
        self.isShown = isShown
        isLive = isatty(STDERR_FILENO) == 1
        interval = isLive ? .milliseconds(100) : .seconds(10)
        // Elsewhere short work stays silent.
        lastShown = isLive ? nil : .now
    }

    /// Shows a text if it is time for one.
    func show(_ text: @autoclosure () -> String) {
        guard isShown else { return }
        let now = ContinuousClock.now
        if let lastShown, now - lastShown < interval { return }
        lastShown = now
        if isLive {
            hasLine = true
            StandardError.write("\r\u{1B}[K" + fitted(text().printable))
        } else {
            StandardError.write(text().printable + "\n")
        }
    }

    /// Takes the line away, before something else is written.
    func clear() {
        guard hasLine else { return }
        hasLine = false
        StandardError.write("\r\u{1B}[K")
    }

    /// A line that wraps could not be rewritten; what is not ASCII may take two columns.
    private func fitted(_ text: String) -> String {
        var size = winsize()
        let columns = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
        var width = 0
        return String(
            text.prefix { character in
                width += character.isASCII ? 1 : 2
                return width < columns
            })
    }
}
