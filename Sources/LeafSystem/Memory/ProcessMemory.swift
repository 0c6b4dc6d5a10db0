/// Counters that the kernel keeps for this process.
package enum ProcessMemory {
    /// The largest resident size so far, mapped file pages included (`VmHWM`). Without `/proc` that of the program that
    /// started this one counts, too.
    package static var peakBytes: Int { peakBytes(.real) }

    package static func peakBytes(_ reports: KernelReports) -> Int {
        let status = reports.file("/proc/self/status").map(colonFields)
        return kibibytes(status?["VmHWM"]) ?? reports.peakBytes()
    }

    /// Bytes that this process has caused to be written to a disk so far; nil if the kernel does not count them.
    package static func bytesWritten() -> Int? { bytesWritten(.real) }

    package static func bytesWritten(_ reports: KernelReports) -> Int? {
        reports.file("/proc/self/io").flatMap { colonFields($0)["write_bytes"] }.flatMap { Int($0) }
    }
}

/// The `name: value` lines of a file of `/proc`, without blanks around name and value.
func colonFields(_ text: String) -> [Substring: Substring] {
    var fields: [Substring: Substring] = [:]
    for line in text.split(separator: "\n") {
        guard let colon = line.firstIndex(of: ":") else { continue }
        fields[line[..<colon]] = trimmed(line[line.index(after: colon)...])
    }
    return fields
}

/// `12 kB` in bytes.
func kibibytes(_ text: Substring?) -> Int? {
    guard let number = text?.split(separator: " ").first.flatMap({ Int($0) }), number >= 0 else { return nil }
    return number.multipliedReportingOverflow(by: 1024).overflow ? nil : number * 1024
}

func trimmed(_ text: Substring) -> Substring {
    let isBlank = { (character: Character) in character == " " || character == "\t" || character == "\n" }
    guard let first = text.firstIndex(where: { !isBlank($0) }), let last = text.lastIndex(where: { !isBlank($0) })
    else {
        return ""
    }
    return text[first...last]
}
