/// A number of bytes in the form that people write and read.
package struct ByteCount: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let bytes: Int

    package init(bytes: Int) {
        self.bytes = bytes
    }

    /// Parses `512MiB`, `2GiB`, `4GB`, `1.5GiB`, `4096`. `K`, `M`, `G`, `T` alone are binary. Case does not matter.
    /// What is left of a byte in a larger unit is dropped. Returns nil for anything else, and where there is a fault.
    package init?(_ text: String) {
        guard let bytes = Self.size(text), Self.fault(in: text) == nil else { return nil }
        self.bytes = Int(bytes)
    }

    /// What is wrong with a text that has the form of a size and stands for none, behind it; nil for others.
    package static func fault(in text: String) -> String? {
        guard let bytes = size(text) else { return nil }
        if bytes >= limit { return "is too large; a size is below 4194304TiB" }
        return bytes > 0 && bytes < 1 ? "is too small; a size is a byte at least, or 0" : nil
    }

    fileprivate static let limit = 0x1p62

    /// The bytes that a text means, as many as they are; nil for a text that has not the form of a size. A number of
    /// bytes is whole.
    fileprivate static func size(_ text: String) -> Double? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).lowercased()
        guard let scale = scales[unit], digits.first != ".", digits.last != ".", let number = Double(digits),
            scale > 1 || number == number.rounded()
        else { return nil }
        return number * scale
    }

    private static let scales: [String: Double] = [
        "": 1, "b": 1,
        "k": 0x1p10, "kib": 0x1p10, "kb": 1e3,
        "m": 0x1p20, "mib": 0x1p20, "mb": 1e6,
        "g": 0x1p30, "gib": 0x1p30, "gb": 1e9,
        "t": 0x1p40, "tib": 0x1p40, "tb": 1e12,
    ]

    /// `512 B`, `1.5 KiB`, `58.0 MiB`, `9.27 GiB`.
    package var description: String {
        let size = Double(bytes.magnitude)
        let sign = bytes < 0 ? "-" : ""
        // A number that would be rounded up to the next unit is written in that unit.
        return switch size {
        case ..<1024: "\(bytes) B"
        case ..<(1023.95 * 0x1p10): sign + (size / 0x1p10).fixed(1) + " KiB"
        case ..<(1023.95 * 0x1p20): sign + (size / 0x1p20).fixed(1) + " MiB"
        case ..<(1023.995 * 0x1p30): sign + (size / 0x1p30).fixed(2) + " GiB"
        default: sign + (size / 0x1p40).fixed(2) + " TiB"
        }
    }

    package static func < (a: ByteCount, b: ByteCount) -> Bool { a.bytes < b.bytes }
}

/// Bytes in a second, as people write them.
package struct ByteRate: Sendable, Hashable {
    package let bytesPerSecond: Int

    package init(bytesPerSecond: Int) { self.bytesPerSecond = bytesPerSecond }

    /// A `ByteCount` of at least one byte, with `/s` behind it or without: `200MB/s`, `1GiB`.
    package init?(_ text: String) {
        guard let count = ByteCount(Self.amount(text)), count.bytes > 0 else { return nil }
        bytesPerSecond = count.bytes
    }

    /// A rate without its second.
    private static func amount(_ text: String) -> String {
        text.lowercased().hasSuffix("/s") ? String(text.dropLast(2)) : text
    }

    /// What is wrong with a text that has the form of a rate and stands for none, behind it; nil for others.
    package static func fault(in text: String) -> String? {
        guard let bytes = ByteCount.size(amount(text)) else { return nil }
        if bytes >= ByteCount.limit { return "is too large; a rate is below 4194304TiB/s" }
        return bytes < 1 ? "is too small; a rate is at least 1kB/s" : nil
    }

    /// No disk is slower, and nobody wants to wait for one that is.
    private static let slowest = 1000
    /// A smaller number without a unit was meant to be megabytes.
    private static let slowestWithoutUnit = 100_000

    /// What to say of a rate that was hardly meant as it stands, behind its text; nil for others.
    package static func doubt(about text: String) -> String? {
        guard let rate = ByteRate(text) else { return nil }
        let number = amount(text)
        let hasUnit = number.contains { $0.isLetter }
        guard rate.bytesPerSecond < (hasUnit ? slowest : slowestWithoutUnit) else { return nil }
        let meaning = "means \(rate.bytesPerSecond.of("byte")) a second, "
        return hasUnit
            ? meaning + "and a rate is at least 1kB/s; 5MB/s are five megabytes a second"
            : meaning + "less than any disk gives; with its unit it is \(number)MB/s for megabytes, "
                + "\(number)kB/s for kilobytes"
    }
}

extension Int {
    /// This number of bytes in the form that people write.
    package var sizeText: String { ByteCount(bytes: self).description }

    /// The bytes of the fewest whole mebibytes that hold this number of bytes.
    package var wholeMebibytes: Int { units(of: 1 << 20) *| (1 << 20) }

    /// The least amount for people that is no less: `58 MiB`, and in hundredths from 1 GiB on, `8.84 GiB`.
    package var roundedUpText: String {
        guard wholeMebibytes >= 1 << 30 else { return "\(units(of: 1 << 20)) MiB" }
        return ((Double(self) / 0x1p30 * 100).rounded(.up) / 100).fixed(2) + " GiB"
    }

    /// The bytes that `roundedUpText` names.
    package var roundedUpForPeople: Int {
        guard wholeMebibytes >= 1 << 30 else { return wholeMebibytes }
        return ByteCount(roundedUpText.filter { $0 != " " })?.bytes ?? self
    }

    /// Bytes of a file or of a reading: `860 kB`, `14 MB`, `9.40 GB`; decimal, as for disks.
    package var diskText: String {
        switch Double(magnitude) {
        case ..<1000: "\(self) B"
        case ..<999.5e3: (Double(self) / 1e3).fixed(0) + " kB"
        case ..<999.5e6: (Double(self) / 1e6).fixed(0) + " MB"
        case ..<999.995e9: (Double(self) / 1e9).fixed(2) + " GB"
        default: (Double(self) / 1e12).fixed(2) + " TB"
        }
    }

    /// This number of things: `1 token`, `3 tokens`.
    package func of(_ noun: String) -> String { "\(self) \(noun)" + (self == 1 ? "" : "s") }
}

extension Double {
    /// The number with this many decimal digits (at most 9), rounded half away from zero.
    package func fixed(_ digits: Int) -> String {
        let power = (0..<digits).reduce(1.0) { product, _ in product * 10 }
        guard isFinite, magnitude * power < 0x1p62 else { return "\(self)" }
        let scaled = UInt64((magnitude * power).rounded())
        let sign = self < 0 && scaled > 0 ? "-" : ""
        let whole = scaled / UInt64(power)
        guard digits > 0 else { return "\(sign)\(whole)" }
        let fraction = String(scaled % UInt64(power))
        return "\(sign)\(whole)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// A rate in bytes per second: `860 kB/s`, `98 MB/s`, `1.07 GB/s`; decimal, as for disks.
    package var asByteRate: String {
        switch self {
        case ..<999.5e3: (self / 1e3).fixed(0) + " kB/s"
        case ..<999.5e6: (self / 1e6).fixed(0) + " MB/s"
        default: (self / 1e9).fixed(2) + " GB/s"
        }
    }

    /// A duration in seconds: `0.4 ms`, `45 ms`, `1.32 s`, `42 s`, `2 min 5 s`, `3 h 20 min`.
    package var asDuration: String {
        switch self {
        case ..<0.00995: (self * 1e3).fixed(1) + " ms"
        case ..<0.9995: (self * 1e3).fixed(0) + " ms"
        case ..<9.995: fixed(2) + " s"
        case ..<59.5: fixed(0) + " s"
        case ..<3599.5: Self.pair(Int(rounded()), "min", "s")
        case ..<1e9: Self.pair(Int((self / 60).rounded()), "h", "min")
        default: "forever"
        }
    }

    /// The same for a time that somebody typed, which may be shorter than anything measured: `3.2 µs`, `0.1 ns`.
    package var asWrittenDuration: String {
        switch self {
        case 0.95e-6..<0.000_05: (self * 1e6).fixed(1) + " µs"
        case 0.95e-10..<0.95e-6: (self * 1e9).fixed(1) + " ns"
        case 0.nextUp..<0.95e-10: "\(self) s"
        default: asDuration
        }
    }

    /// Whether so many seconds are more than `0.0 ms`.
    package var isNoticeable: Bool { self >= 0.000_05 }

    private static func pair(_ count: Int, _ large: String, _ small: String) -> String {
        count % 60 == 0 ? "\(count / 60) \(large)" : "\(count / 60) \(large) \(count % 60) \(small)"
    }
}
