import LeafSystem

/// A JSON value to write; its keys keep their order.
package enum JSON: Sendable, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    case null
    case bool(Bool)
    case integer(Int)
    case unsigned(UInt64)
    /// Infinities and NaN become null: JSON has no number for them.
    case number(Double)
    case string(String)
    case array([JSON])
    case object([(key: String, value: JSON)])

    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) { self = .object(elements.map { ($0, $1) }) }

    package static func ids(_ ids: [Int32]) -> JSON { .array(ids.map { .integer(Int($0)) }) }
    package static func strings(_ strings: [String]) -> JSON { .array(strings.map { .string($0) }) }

    /// The value without spaces and line breaks.
    package var line: String {
        var text: [UInt8] = []
        write(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the value as UTF-8, without spaces and line breaks.
    package func write(to text: inout [UInt8]) {
        switch self {
        case .null: text += "null".utf8
        case .bool(let value): text += (value ? "true" : "false").utf8
        case .integer(let value): text += "\(value)".utf8
        case .unsigned(let value): text += "\(value)".utf8
        case .number(let value): text += (value.isFinite ? "\(value)" : "null").utf8
        case .string(let value): Self.write(value, to: &text)
        case .array(let values):
            text.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                value.write(to: &text)
            }
            text.append(UInt8(ascii: "]"))
        case .object(let pairs):
            text.append(UInt8(ascii: "{"))
            for (index, pair) in pairs.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                Self.write(pair.key, to: &text)
                text.append(UInt8(ascii: ":"))
                pair.value.write(to: &text)
            }
            text.append(UInt8(ascii: "}"))
        }
    }

    /// Appends a string in quotes. What is not ASCII stays as it is, but for what a terminal that shows the line would
    /// take for a command.
    package static func write(_ string: String, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\"".utf8
            case "\\": text += "\\\\".utf8
            case "\n": text += "\\n".utf8
            case "\r": text += "\\r".utf8
            case "\t": text += "\\t".utf8
            case _ where scalar.isControl:
                let digits = String(scalar.value, radix: 16)
                text += "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8
            default: text += scalar.utf8
            }
        }
        text.append(UInt8(ascii: "\""))
    }
}
