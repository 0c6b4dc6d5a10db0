/// Spreads reads over time, so that no interval has more bytes than a given rate allows; for a shared machine.
package struct ReadPacer {
    private let nanosecondsPerByte: Double
    /// When the next read may begin.
    private var next: UInt64 = 0

    /// - Parameter bytesPerSecond: nil for no limit.
    package init(bytesPerSecond: Int?) {
        nanosecondsPerByte = bytesPerSecond.map { 1e9 / Double(max(1, $0)) } ?? 0
    }

    /// The time at which a read may begin. Time without reads is not made up for.
    package mutating func start(bytes: Int, now: UInt64) -> UInt64 {
        guard nanosecondsPerByte > 0 else { return now }
        let start = max(now, next)
        next = start + nanoseconds(for: bytes)
        return start
    }

    /// Takes back the time of a read that does not happen. Reads that were given later times must not happen either.
    package mutating func giveBack(bytes: Int) {
        if nanosecondsPerByte > 0 { next -= min(next, nanoseconds(for: bytes)) }
    }

    private func nanoseconds(for bytes: Int) -> UInt64 { UInt64(Double(bytes) * nanosecondsPerByte) }
}
