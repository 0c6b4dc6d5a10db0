/// A span of time as people type it: `1s`, `500ms`, `2min`, or a number of seconds.
package struct Seconds: Sendable, Hashable, ArgumentValue {
    package let seconds: Double

    package init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let scale = Self.scales[String(argument.dropFirst(digits.count))], digits.first != ".",
            digits.last != ".", let number = Double(digits), number > 0, number.isFinite
        else { return nil }
        seconds = number * scale
    }

    private static let scales: [String: Double] = ["": 1, "s": 1, "ms": 1e-3, "min": 60]

    package static var expectation: String { "a time such as 1s, 500ms or 2min" }
}
