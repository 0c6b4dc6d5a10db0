/// Decides how much of a model may stay in memory while others want some of it too: the policy behind `--memory auto`.
///
/// A value without clock: it is fed what the kernel says, once a second or so, and answers with the bytes that may stay, a
/// limit on what others ask for. Memory is given back at once and taken again with hesitation.
public struct MemoryPressure: Sendable {
    /// What the kernel says.
    public struct Reading: Sendable, Equatable {
        /// What is left to this process: of the machine and of its container, whichever is less.
        public var roomBytes: Int
        /// The share of the last ten seconds in which something waited for memory, in percent; nil where the kernel does
        /// not tell.
        public var stalledPercent: Double?

        public init(roomBytes: Int, stalledPercent: Double?) {
            self.roomBytes = roomBytes
            self.stalledPercent = stalledPercent
        }

        public static func now() -> Reading { Reading(reader: .real) }

        package init(reader: SmallFileReader) {
            let machine = Machine(reader: reader)
            roomBytes = min(machine.availableBytes, machine.containerRoomBytes ?? machine.containerLimitBytes ?? .max)
            // "some avg10=1.23 avg60=..."
            let text = ControlGroups.memoryPressure(reader: reader) ?? reader.read("/proc/pressure/memory")
            let words = text?.split(separator: "\n").first?.split(separator: " ") ?? []
            stalledPercent = words.first { $0.hasPrefix("avg10=") }.flatMap { Double($0.dropFirst(6)) }
        }
    }

    /// Bytes that are to be left to others.
    private let reserveBytes: Int
    private let movableBytes: Int
    /// What may stay now.
    private var allowedBytes: Int
    /// Readings in a row with room to spare.
    private var calmReadings = 0

    private static let stallLimitPercent = 5.0
    private static let calmReadingsToGrow = 5

    /// - Parameters:
    ///   - reserveBytes: what the budget was meant to leave to others when it was made.
    ///   - movableBytes: of the model's chunks that may leave memory.
    public init(reserveBytes: Int, movableBytes: Int) {
        self.reserveBytes = reserveBytes
        self.movableBytes = movableBytes
        allowedBytes = movableBytes
    }

    /// - Parameter pinnedBytes: what is meant to stay now: what was asked for, at most what was allowed last.
    /// - Returns: what may stay from now on; within 0 and `movableBytes`.
    public mutating func allowedBytes(after reading: Reading, now pinnedBytes: Int) -> Int {
        let isStalling = reading.stalledPercent.map { $0 > Self.stallLimitPercent } ?? false
        // Half of the reserve may come and go without weights moving.
        if isStalling || reading.roomBytes < reserveBytes / 2 {
            calmReadings = 0
            let missing = max(reserveBytes - reading.roomBytes, isStalling ? movableBytes / 8 : 0)
            allowedBytes = max(0, min(pinnedBytes, allowedBytes) - missing)
            return allowedBytes
        }
        let spare = reading.roomBytes - reserveBytes
        calmReadings = spare > 0 ? calmReadings + 1 : 0
        if calmReadings >= Self.calmReadingsToGrow {
            // What has just been given back takes a sweep to fill: half of the room at a time, beyond what is there and not
            // beyond what somebody might ask for one day.
            allowedBytes = max(allowedBytes, min(movableBytes, pinnedBytes + spare / 2))
        }
        return allowedBytes
    }
}
