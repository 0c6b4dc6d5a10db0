/// The limits that control groups (a container) set for this process, in version 1, version 2 or a mixture.
///
/// A limit holds for a group and everything below it. So every level is read, from the process's own group up to the
/// mount point, and the smallest limit counts.
package struct ControlGroups: Sendable {
    /// The smallest memory limit; nil without one.
    package let memoryLimitBytes: Int?
    /// The least memory that any limited level has left; its reclaimable page cache counts as free.
    package let memoryRoomBytes: Int?
    /// Processors' worth of time that the group may use; nil without a quota.
    package let cores: Double?

    package init(_ reports: KernelReports) {
        let groups = reports.file("/proc/self/cgroup") ?? ""
        let mounts = (reports.file("/proc/self/mountinfo") ?? "").split(separator: "\n").compactMap(Mount.init)

        var limits: [Int] = []
        var rooms: [Int] = []
        for (directory, version) in Self.levels("memory", groups: groups, mounts: mounts) {
            let names = version == 2 ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"]
            guard let limit = names.compactMap({ number(reports.file(directory + "/" + $0)) }).min() else { continue }
            limits.append(limit)
            let usage = version == 2 ? "memory.current" : "memory.usage_in_bytes"
            if let used = number(reports.file(directory + "/" + usage)) {
                let cache = Self.reclaimable(reports.file(directory + "/memory.stat") ?? "", version: version)
                rooms.append(max(0, limit - max(0, used - cache)))
            }
        }
        // Version 1 writes "no limit" as a number near the largest possible.
        memoryLimitBytes = limits.min().flatMap { $0 < 1 << 60 ? $0 : nil }
        memoryRoomBytes = memoryLimitBytes == nil ? nil : rooms.min()

        cores = Self.levels("cpu", groups: groups, mounts: mounts).compactMap { directory, version -> Double? in
            let quota: Int?
            let period: Int?
            if version == 2 {
                let words = (reports.file(directory + "/cpu.max") ?? "").split { $0 == " " || $0 == "\n" }
                quota = words.first.flatMap { Int($0) }
                period = words.dropFirst().first.flatMap { Int($0) }
            } else {
                quota = number(reports.file(directory + "/cpu.cfs_quota_us"))
                period = number(reports.file(directory + "/cpu.cfs_period_us"))
            }
            guard let quota, let period, quota > 0, period > 0 else { return nil }
            return Double(quota) / Double(period)
        }.min()
    }

    /// The memory pressure of the process's own group (version 2 only).
    package static func memoryPressure(_ reports: KernelReports) -> String? {
        let groups = reports.file("/proc/self/cgroup") ?? ""
        let mounts = (reports.file("/proc/self/mountinfo") ?? "").split(separator: "\n").compactMap(Mount.init)
        return levels("memory", groups: groups, mounts: mounts).lazy.filter { $0.version == 2 }
            .compactMap { reports.file($0.directory + "/memory.pressure") }.first
    }

    /// File pages that the kernel would reclaim first.
    private static func reclaimable(_ stat: String, version: Int) -> Int {
        let name = version == 2 ? "inactive_file " : "total_inactive_file "
        guard let line = stat.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return 0 }
        return max(0, Int(line.dropFirst(name.count)) ?? 0)
    }

    /// The directories of the process's groups for one controller, from its own up to the mounted root.
    private static func levels(
        _ controller: Substring, groups: String, mounts: [Mount]
    ) -> [(directory: String, version: Int)] {
        groups.split(separator: "\n").flatMap { line -> [(String, Int)] in
            // "4:memory:/a/b" in version 1, "0::/a/b" in version 2.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let version = fields[1].isEmpty ? 2 : 1
            guard version == 2 || fields[1].split(separator: ",").contains(controller) else { return [] }
            return mounts.filter { $0.version == version && (version == 2 || $0.controllers.contains(controller)) }
                .flatMap { mount in mount.directories(of: fields[2]).map { ($0, version) } }
        }
    }

    /// A line of `/proc/self/mountinfo` that shows a control group hierarchy.
    private struct Mount {
        let version: Int
        let controllers: [Substring]
        /// The group that is mounted at `point`.
        let root: String
        let point: String

        init?(_ line: Substring) {
            // "36 35 0:30 /root /point rw,relatime shared:1 - cgroup cgroup rw,memory"
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), dash >= 5, words.count > dash + 1 else { return nil }
            switch words[dash + 1] {
            case "cgroup": version = 1
            case "cgroup2": version = 2
            default: return nil
            }
            controllers = words.count > dash + 3 ? words[dash + 3].split(separator: ",") : []
            root = Self.unescaped(words[3])
            point = Self.unescaped(words[4])
        }

        /// The directories of the group `path` and of those above it; only the mount point if the path lies outside of
        /// it.
        func directories(of path: Substring) -> [String] {
            let base = root == "/" ? "" : root
            var rest = path == root || !path.hasPrefix(base + "/") ? "" : path.dropFirst(base.count)
            if rest.split(separator: "/").contains("..") { rest = "" }
            while rest.hasSuffix("/") { rest = rest.dropLast() }
            var directories: [String] = []
            while !rest.isEmpty {
                directories.append(point + rest)
                rest = rest[..<(rest.lastIndex(of: "/") ?? rest.startIndex)]
            }
            return directories + [point]
        }

        /// The kernel writes blanks, tabs, newlines and backslashes as three octal digits.
        private static func unescaped(_ text: Substring) -> String {
            var result: [UInt8] = []
            let bytes = Array(text.utf8)
            var index = 0
            while index < bytes.count {
                if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
                    let code = UInt8(String(decoding: bytes[index + 1...index + 3], as: UTF8.self), radix: 8)
                {
                    result.append(code)
                    index += 4
                } else {
                    result.append(bytes[index])
                    index += 1
                }
            }
            return String(decoding: result, as: UTF8.self)
        }
    }
}

/// The whole number in a file; nil for `max` or anything else.
private func number(_ text: String?) -> Int? { text.flatMap { Int(trimmed($0[...])) } }
