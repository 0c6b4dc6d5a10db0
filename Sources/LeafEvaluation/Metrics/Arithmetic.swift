import Glibc

/// Evaluates expressions as Math23K writes them: `x=(11-1)*2`, `25%`, `3(1/2)` for three and a half, `5^2`.
struct Arithmetic {
    /// The tolerance of published evaluations of Math23K.
    private static let tolerance = 1e-4
    private static let deepest = 64

    private var rest: ArraySlice<UInt8>
    private var depth = 0

    /// The value of a text; nil if it is no expression, or has no finite value.
    static func value(of text: String) -> Double? {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars where !scalar.properties.isWhitespace {
            switch scalar {
            case "×", "＊": bytes.append(UInt8(ascii: "*"))
            case "÷", "／": bytes.append(UInt8(ascii: "/"))
            case "（": bytes.append(UInt8(ascii: "("))
            case "）": bytes.append(UInt8(ascii: ")"))
            default: bytes += Array(String(scalar).utf8)
            }
        }
        if bytes.starts(with: [UInt8(ascii: "x"), UInt8(ascii: "=")]) { bytes.removeFirst(2) }
        var parser = Arithmetic(rest: bytes[...])
        guard let value = parser.sum(), parser.rest.isEmpty, value.isFinite else { return nil }
        return value
    }

    /// Whether both are expressions with the same value.
    static func agree(_ a: String, _ b: String) -> Bool {
        guard let a = value(of: a), let b = value(of: b) else { return false }
        return abs(a - b) < tolerance
    }

    private init(rest: ArraySlice<UInt8>) { self.rest = rest }

    private mutating func take(_ character: Character) -> Bool {
        guard let wanted = character.asciiValue, rest.first == wanted else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func sum() -> Double? {
        guard var value = product() else { return nil }
        while true {
            if take("+") {
                guard let next = product() else { return nil }
                value += next
            } else if take("-") {
                guard let next = product() else { return nil }
                value -= next
            } else {
                return value
            }
        }
    }

    private mutating func product() -> Double? {
        guard var value = signed() else { return nil }
        while true {
            if take("*") {
                guard let next = signed() else { return nil }
                value *= next
            } else if take("/") {
                guard let next = signed() else { return nil }
                value /= next
            } else {
                return value
            }
        }
    }

    /// A sign binds less than a power: -2^2 is -4.
    private mutating func signed() -> Double? {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.deepest else { return nil }
        if take("-") { return signed().map { -$0 } }
        if take("+") { return signed() }
        guard let base = atom() else { return nil }
        guard take("^") else { return base }
        return signed().map { pow(base, $0) }
    }

    private mutating func atom() -> Double? {
        var value: Double
        if take("(") {
            guard let inner = sum(), take(")") else { return nil }
            value = inner
        } else {
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".") }
            guard let number = Double(String(decoding: digits, as: UTF8.self)) else { return nil }
            rest = rest[digits.endIndex...]
            value = number
            // In a mixed number the fraction follows in brackets.
            if take("(") {
                guard let fraction = sum(), take(")") else { return nil }
                value += fraction
            }
        }
        while take("%") { value /= 100 }
        return value
    }
}
