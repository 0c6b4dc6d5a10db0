import LeafSystem
import Leafcutter

/// The progress of work on a known number of bytes: how far, how fast, and how long it will take.
struct ProgressMeter {
    private let label: String
    private let began = ContinuousClock.now

    init(_ label: String) {
        self.label = label
    }

    /// `converting: 43 %, 3.97 GiB of 9.27 GiB, 98 MB/s, 1 min 23 s left`
    ///
    /// - Parameter skipped: bytes that an earlier run had done; the rate does not count them.
    func text(done: Int, of total: Int, skipped: Int = 0) -> String {
        let share = total > 0 ? 100 * Double(done) / Double(total) : 100
        let counts = "\(label): \(share.fixed(0)) %, \(ByteCount(bytes: done)) of \(ByteCount(bytes: total))"
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        let rate = Double(done - skipped) / max(seconds, 1e-9)
        guard seconds > 0.5, rate > 0 else { return counts }
        return counts + ", \(rate.asByteRate), \((Double(total - done) / rate).asDuration) left"
    }
}
