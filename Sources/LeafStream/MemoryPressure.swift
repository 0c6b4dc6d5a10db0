package import LeafSystem

/// Decides how much of a model stays in memory while other programs need some of it too: the policy of an automatic
/// budget.
///
/// A value without a clock: it is given what the kernel says, once a second or so, and answers with the bytes that may
/// stay, a limit on what others ask for. Memory is given back at once and taken again with hesitation.
package struct MemoryPressure: Sendable {
    /// A reading of the kernel's counters.
    package struct Reading: Sendable, Equatable {
        /// Memory left for this process: in the machine or in its container, whichever is less.
        package var roomBytes: Int
        /// The share of the last ten seconds in which a task waited for memory, in percent; nil if the kernel does not
        /// report it.
        package var stalledPercent: Double?

        package init(roomBytes: Int, stalledPercent: Double?) {
            self.roomBytes = roomBytes
            self.stalledPercent = stalledPercent
        }

        package static func now() -> Reading { Reading(.real) }

        package init(_ reports: KernelReports) {
            let machine = Machine(reports)
            roomBytes = min(machine.availableBytes, machine.containerRoomBytes ?? machine.containerLimitBytes ?? .max)
            // "some avg10=1.23 avg60=..."
            let text = ControlGroups.memoryPressure(reports) ?? reports.file("/proc/pressure/memory")
            let words = text?.split(separator: "\n").first?.split(separator: " ") ?? []
            stalledPercent = words.first { $0.hasPrefix("avg10=") }.flatMap { Double($0.dropFirst(6)) }
        }
    }

    /// Bytes to leave to other programs.
    private let reserveBytes: Int
    private let movableBytes: Int
    /// What may stay now.
    private var allowedBytes: Int
    /// The number of consecutive readings with memory to spare.
    private var calmReadings = 0

    private static let stallLimitPercent = 5.0
    private static let calmReadingsToGrow = 5

    /// - Parameters:
    ///   - reserveBytes: the bytes that the budget left to other programs when it was made.
    ///   - movableBytes: the bytes of the model's chunks that may leave memory.
    package init(reserveBytes: Int, movableBytes: Int) {
        self.reserveBytes = reserveBytes
        self.movableBytes = movableBytes
        allowedBytes = movableBytes
    }

    /// - Parameter pinnedBytes: what is meant to stay now: what was asked for, at most what was allowed last.
    /// - Returns: what may stay from now on; within 0 and `movableBytes`.
    package mutating func allowedBytes(after reading: Reading, now pinnedBytes: Int) -> Int {
        let isStalling = reading.stalledPercent.map { $0 > Self.stallLimitPercent } ?? false
        // Half of the reserve may be used and freed without moving weights.
        if isStalling || reading.roomBytes < reserveBytes / 2 {
            calmReadings = 0
            let missing = max(reserveBytes - reading.roomBytes, isStalling ? movableBytes / 8 : 0)
            allowedBytes = max(0, min(pinnedBytes, allowedBytes) - missing)
            return allowedBytes
        }
        let spare = reading.roomBytes - reserveBytes
        calmReadings = spare > 0 ? calmReadings + 1 : 0
        if calmReadings >= Self.calmReadingsToGrow {
            // Chunks that come back take a sweep to load, so half of the room is given at a time. The limit is more
            // than what is there, and no more than anybody could ask for.
            allowedBytes = max(allowedBytes, min(movableBytes, pinnedBytes + spare / 2))
        }
        return allowedBytes
    }
}
