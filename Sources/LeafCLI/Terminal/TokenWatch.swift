/// What comes of one text, between its tokens.
package struct TokenWatch {
    /// Of the sweep under way.
    package var rows = 0
    private let past: Int
    private var tokens = 0
    /// When the first token came that the session did not have.
    private var firstToken: ContinuousClock.Instant?

    /// - Parameter past: tokens of a session, which come at once and are no sign of speed.
    package init(past: Int = 0) { self.past = past }

    package mutating func count(at now: ContinuousClock.Instant) {
        tokens += 1
        if tokens == past + 1 { firstToken = now }
    }

    /// - Parameter streams: whether the text itself is on the terminal.
    package func progress(at now: ContinuousClock.Instant, streams: Bool) -> Progress {
        let seconds = firstToken.map { (now - $0) / .seconds(1) } ?? 0
        var progress = Progress(tokens == 0 ? "reading the prompt" : "generating")
        progress.sweep = tokens == 0 ? .whole : .step
        progress.rows = rows
        if tokens > 0 { progress.tokens = (tokens, seconds > 0 ? Double(tokens - past - 1) / seconds : 0) }
        // Text that comes fast shows by itself where it is.
        progress.showsSlowSweepsAlone = streams && tokens > 0
        return progress
    }
}
