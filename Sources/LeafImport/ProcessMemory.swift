import Glibc

/// Counters that the system keeps for this process.
enum ProcessMemory {
    /// The largest resident size in bytes (VmHWM); 0 if the system does not report it.
    static var peakBytes: Int {
        let descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        let text = String(unsafeUninitializedCapacity: 16384) { max(0, read(descriptor, $0.baseAddress, $0.count)) }
        for line in text.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if fields.count > 1, let kibibytes = Int(fields[1]) { return kibibytes * 1024 }
        }
        return 0
    }
}
