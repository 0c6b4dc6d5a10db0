/// A span of time as people type it: `1s`, `500ms`, `2min`, or a number of seconds.
package struct Seconds: Sendable, Hashable, ArgumentValue {
    package let seconds: Double

    package init?(argument: String) {
        guard let seconds = Self.span(argument), Self.fault(in: argument) == nil else { return nil }
        self.seconds = seconds
    }

    package static func fault(in argument: String) -> String? {
        guard let seconds = span(argument) else { return nil }
        if seconds >= forever { return "is too large; a time is below 1000000000s" }
        return seconds == 0 ? "is too small; a time is above 0" : nil
    }

    /// From here on, durations have no words.
    private static let forever = 1e9

    /// The seconds that a text means, as many as they are; nil for a text that has not the form of a time.
    private static func span(_ argument: String) -> Double? {
        let digits = argument.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let scale = scales[String(argument.dropFirst(digits.count))], digits.first != ".",
            digits.last != ".", let number = Double(digits)
        else { return nil }
        return number * scale
    }

    private static let scales: [String: Double] = ["": 1, "s": 1, "ms": 1e-3, "min": 60]

    package static var expectation: String { "a time such as 1s, 500ms or 2min" }
}
