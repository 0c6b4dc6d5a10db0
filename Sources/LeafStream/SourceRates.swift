/// Chooses the copy of a file from which to read the next piece: the one that is expected to deliver it first.
///
/// The rate of a copy is estimated from the pieces that it delivered. Reads in flight then become proportional to the
/// rates, so a piece takes the same time from any copy, and a slow copy delays nothing. This value has no clock and no
/// lock.
package struct SourceRates {
    private struct Source {
        var inFlight = 0
        /// The moving mean of bytes per second; nil before the first piece.
        var rate: Double?
        var lastChoice = 0
        /// Bytes that this copy brought.
        var bytes = 0
    }

    private var sources: [Source]
    private var choices = 0

    /// Weight of the newest piece in the mean.
    private static let weight = 1.0 / 16
    /// A copy that was not chosen this many times is tried once more, because it may have become faster.
    private static let patience = 256

    package init(count: Int) { sources = Array(repeating: Source(), count: count) }

    /// Bytes that each copy brought.
    package var bytes: [Int] { sources.map(\.bytes) }

    /// - Returns: the copy to read from, and the number of its reads in flight, with this one.
    package mutating func choose() -> (source: Int, depth: Int) {
        choices += 1
        var best = 0
        var soonest = Double.infinity
        for (index, source) in sources.enumerated() {
            if source.inFlight == 0, choices - source.lastChoice > Self.patience {
                best = index
                break
            }
            let expected = Double(source.inFlight + 1) / (source.rate ?? .greatestFiniteMagnitude)
            // Among copies of unknown rate, prefer the one with fewer reads in flight.
            if expected < soonest || (expected == soonest && source.inFlight < sources[best].inFlight) {
                (best, soonest) = (index, expected)
            }
        }
        sources[best].inFlight += 1
        sources[best].lastChoice = choices
        return (best, sources[best].inFlight)
    }

    /// Records that a read has ended.
    /// - Parameters:
    ///   - depth: the value from `choose`.
    ///   - bytes: the bytes read; 0 for a failure.
    package mutating func finish(_ source: Int, depth: Int, bytes: Int, nanoseconds: UInt64) {
        sources[source].inFlight -= 1
        sources[source].bytes += bytes
        guard bytes > 0 else { return }
        let rate = Double(depth * bytes) * 1e9 / Double(max(1, nanoseconds))
        sources[source].rate = sources[source].rate.map { $0 + (rate - $0) * Self.weight } ?? rate
    }
}
