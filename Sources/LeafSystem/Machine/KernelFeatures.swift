/// Facts that the kernel and the processor report about themselves.
package struct KernelFeatures: Sendable, Equatable {
    /// The processor's name; empty if the kernel does not report it.
    package let processor: String
    /// Transparent huge pages: `always`, `madvise` or `never`; nil where the kernel has none.
    package let hugePages: String?
    /// Whether the kernel measures memory pressure (PSI).
    package let hasMemoryPressure: Bool

    package static func current() -> KernelFeatures { KernelFeatures(.real) }

    package init(_ reports: KernelReports) {
        let names = (reports.file("/proc/cpuinfo") ?? "").split(separator: "\n").lazy
            .filter { $0.hasPrefix("model name") }.compactMap { $0.split(separator: ":", maxSplits: 1).last }
        processor = names.first.map { String(trimmed($0)) } ?? ""
        hugePages = Self.hugePages(reports)
        hasMemoryPressure = reports.file("/proc/pressure/memory") != nil
    }

    /// Whether memory that asks for huge pages can get them.
    package static func hasHugePages() -> Bool { hasHugePages(.real) }

    package static func hasHugePages(_ reports: KernelReports) -> Bool {
        ["always", "madvise"].contains(hugePages(reports))
    }

    /// In "always [madvise] never" the brackets mark the current setting.
    private static func hugePages(_ reports: KernelReports) -> String? {
        let setting = reports.file("/sys/kernel/mm/transparent_hugepage/enabled") ?? ""
        return setting.split(whereSeparator: { $0 == " " || $0 == "\n" }).first { $0.hasPrefix("[") }
            .map { String($0.dropFirst().prefix { $0 != "]" }) }
    }
}
