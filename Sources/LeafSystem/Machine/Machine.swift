/// Memory and processors that this process may use: the machine's, reduced by affinity and by the container's limits.
package struct Machine: Sendable, Equatable {
    package let totalBytes: Int
    /// Memory that new programs could have without swapping, by the kernel's estimate (`MemAvailable`).
    package let availableBytes: Int
    /// The memory limit of the container; nil without one.
    package let containerLimitBytes: Int?
    /// Memory that the container has left; page cache that it can reclaim counts as free.
    package let containerRoomBytes: Int?
    /// Processors that this process may run on (affinity), at most the container's quota, rounded up: two threads on
    /// 1.5 processors do more than one.
    package let cores: Int

    package static func current() -> Machine { Machine(.real) }

    package static let threadCounts = 1...1024

    /// - Throws: `.usage` for a number of threads that nobody starts.
    package static func check(threads: Int) throws(LeafError) {
        guard threadCounts.contains(threads) else {
            throw LeafError(.usage, "\(threads) threads make no sense; give 1 to \(threadCounts.upperBound)")
        }
    }

    package init(_ reports: KernelReports) {
        let memory = colonFields(reports.file("/proc/meminfo") ?? "")
        // Without /proc the kernel knows only what nobody uses, not what could be freed, and nothing of a container.
        let total = kibibytes(memory["MemTotal"]) ?? reports.memory().total
        totalBytes = total
        availableBytes = kibibytes(memory["MemAvailable"]) ?? kibibytes(memory["MemFree"]) ?? reports.memory().free
        let groups = ControlGroups(reports)
        containerLimitBytes = groups.memoryLimitBytes.flatMap { total == 0 || $0 < total ? $0 : nil }
        containerRoomBytes = containerLimitBytes == nil ? nil : groups.memoryRoomBytes

        // A mask of hexadecimal digits in groups: "ffffffff,ffffffff".
        let status = colonFields(reports.file("/proc/self/status") ?? "")
        let allowed = (status["Cpus_allowed"] ?? "").reduce(0) { $0 + ($1.hexDigitValue ?? 0).nonzeroBitCount }
        let processors = allowed > 0 ? allowed : reports.processors()
        let quota = groups.cores.map { Int(min($0.rounded(.up), 1e6)) } ?? .max
        cores = max(1, min(processors, quota))
    }

    /// The budget if the user gives none: the free memory, at most what the container has left, less a reserve.
    package var defaultBudget: Int { max(0, freeBytes - reserveBytes) }

    /// Memory for other programs: an eighth of what is free, at least 32 MiB and at most 1 GiB.
    package var reserveBytes: Int { min(1 << 30, max(32 << 20, freeBytes / 8)) }

    private var freeBytes: Int { min(availableBytes, containerRoomBytes ?? containerLimitBytes ?? .max) }
}
