package import LeafSystem

/// Reads JSON from its beginning to its end, value by value. It makes no tree: what nobody asks for takes no memory.
///
///     var reader = JSONReader(bytes)
///     try reader.object { name, reader throws(LeafError) in
///         if name == "id" { id = try reader.integer() } else { try reader.skip() }
///     }
///     try reader.end()
///
/// Everything that is wrong throws `.usage`: one sentence that names the field and what is wanted, or the position of
/// the fault in the bytes, from 1. `NaN`, `Infinity` and `-Infinity`, which Python writes, are numbers here that no
/// field takes.
package struct JSONReader {
    /// What stands in front of the reader.
    package enum Kind: String {
        case null
        case bool = "true or false"
        case number = "a number"
        case text = "a text"
        case list = "a list"
        case object = "an object"
    }

    /// Lists and objects inside each other at most.
    package static let deepest = 64

    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private var depth = 0
    /// The names of the fields whose values are being read, the innermost last, for messages.
    private var path: [String] = []
    /// Where values stand that Python alone writes, among those that are passed; nil if nobody asks.
    private var pythonOnly: [Range<Int>]?

    /// - Parameter bytes: UTF-8; a mark of it in front is left out.
    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.startIndex + 3 : bytes.startIndex
    }

    // MARK: Values

    /// The kind of the next value; it stays there.
    package mutating func kind() throws(LeafError) -> Kind {
        skipSpace()
        guard let byte else { throw fault("a value is missing") }
        switch byte {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .list
        case UInt8(ascii: "\""): return .text
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default:
            let words: [(String, Kind)] = [
                ("null", .null), ("true", .bool), ("false", .bool), ("NaN", .number), ("Infinity", .number),
            ]
            for (word, kind) in words where bytes[position...].starts(with: word.utf8) { return kind }
            throw fault("no value begins so")
        }
    }

    /// The kind of the next value, where it may be one of several.
    ///
    /// - Parameter name: of them together, for the message.
    package mutating func kind(among wanted: [Kind], _ name: String? = nil) throws(LeafError) -> Kind {
        let kind = try kind()
        guard wanted.contains(kind) else {
            let names = name ?? wanted.map(\.rawValue).joined(separator: " or ")
            throw wrong("is \(kind.rawValue), where \(names) is wanted")
        }
        return kind
    }

    /// Reads the next value if it is null.
    package mutating func takeNull() throws(LeafError) -> Bool {
        guard try kind() == .null else { return false }
        try word("null")
        return true
    }

    package mutating func bool() throws(LeafError) -> Bool {
        try expect(.bool)
        let value = byte == UInt8(ascii: "t")
        try word(value ? "true" : "false")
        return value
    }

    /// A whole number that the type can hold; `3.0` and `1e2` are such.
    ///
    /// - Parameter name: what is wanted, for the message.
    package mutating func integer<Value: FixedWidthInteger>(
        _ type: Value.Type = Value.self, _ name: String = "a whole number"
    ) throws(LeafError) -> Value {
        try expect(.number, name)
        let literal = try numberLiteral()
        if let value = Value(literal) { return value }
        if let value: Value = Self.whole(literal) { return value }
        throw wrong("is \(Self.quoted(literal)), \(Self.reason(literal, Value.self, name))")
    }

    /// Why a number is none of a type, behind it. The bounds of a signed type are nobody's limits and are not said.
    private static func reason<Value: FixedWidthInteger>(
        _ literal: String, _ type: Value.Type, _ name: String
    ) -> String {
        guard Value.isSigned else { return "where \(name) from \(Value.min) to \(Value.max) is wanted" }
        let number = Double(literal) ?? .nan
        if number >= Double(Value.max) { return "which is too large" }
        if number <= Double(Value.min) { return "which is too small" }
        return "where \(name) is wanted"
    }

    /// A number for a message, with a mark where it goes on.
    private static func quoted(_ literal: String) -> String {
        literal.utf8.count > 40 ? "\(literal.prefix(39))…" : literal
    }

    /// The whole number that a literal with a point or an exponent stands for, digit by digit: nothing is rounded.
    private static func whole<Value: FixedWidthInteger>(_ literal: String) -> Value? {
        guard literal.last?.isNumber == true else { return nil }
        if literal.isZero { return 0 }
        let parts = literal.split { $0 == "e" || $0 == "E" }
        guard let mantissa = parts.first, var shift = parts.count > 1 ? Int(parts[1]) : 0 else { return nil }
        // As many digits as no number here has.
        guard (-1 << 24...64).contains(shift) else { return nil }
        let places = mantissa.split(separator: ".")
        var digits = places.joined(separator: "")
        shift -= places.count > 1 ? places[1].count : 0
        while shift < 0, digits.last == "0" {
            digits.removeLast()
            shift += 1
        }
        return shift < 0 ? nil : Value(digits + String(repeating: "0", count: shift))
    }

    /// A finite number, rounded to the nearest of its type.
    package mutating func number<Value: BinaryFloatingPoint & LosslessStringConvertible>(
        _ type: Value.Type = Value.self
    ) throws(LeafError) -> Value {
        try expect(.number)
        let literal = try numberLiteral()
        guard let value = Value(literal), value.isFinite else {
            throw wrong("is \(Self.quoted(literal)), where a number of usual size is wanted")
        }
        // 0 turns many options off, which nobody has asked for.
        guard value != 0 || literal.isZero else {
            throw wrong("is \(Self.quoted(literal)), which is too near 0 to be told from it; give 0 or a larger number")
        }
        return value
    }

    package mutating func text() throws(LeafError) -> String {
        try expect(.text)
        return try string()
    }

    package mutating func list(_ element: (inout JSONReader) throws(LeafError) -> Void) throws(LeafError) {
        try expect(.list)
        try descend()
        if !take(UInt8(ascii: "]")) {
            repeat { try element(&self) } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "]")) else { throw fault("a comma or ] is missing") }
        }
        depth -= 1
    }

    /// - Parameter body: reads the value of a field, all of it.
    package mutating func object(
        _ body: (_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Void
    ) throws(LeafError) {
        try expect(.object)
        try descend()
        if !take(UInt8(ascii: "}")) {
            repeat {
                skipSpace()
                guard byte == UInt8(ascii: "\"") else { throw fault("a name in quotes is missing") }
                let name = try string(isRead: false)
                guard take(UInt8(ascii: ":")) else { throw fault("a colon is missing") }
                path.append(name)
                try body(name, &self)
                path.removeLast()
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "}")) else { throw fault("a comma or } is missing") }
        }
        depth -= 1
    }

    /// Passes the next value. Halves of characters do no harm in it, as little as NaN: nobody reads them.
    package mutating func skip() throws(LeafError) {
        switch try kind() {
        case .null: try word("null")
        case .bool: _ = try bool()
        case .number:
            let start = position
            let literal = try numberLiteral()
            if literal.last?.isNumber != true { pythonOnly?.append(start..<position) }
        case .text: _ = try string(isRead: false)
        case .list: try list { reader throws(LeafError) in try reader.skip() }
        case .object: try object { _, reader throws(LeafError) in try reader.skip() }
        }
    }

    /// - Throws: if the value of a field is not followed by what ends it: a number that was cut off reads as another.
    package mutating func endOfField() throws(LeafError) {
        skipSpace()
        guard byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") else { throw fault("a comma or } is missing") }
    }

    /// - Throws: if anything but space is left.
    package mutating func end() throws(LeafError) {
        skipSpace()
        guard byte == nil else { throw fault("something stands behind the value") }
    }

    // MARK: Faults

    /// The field that is being read is not as it should be.
    package func wrong(_ what: String) -> LeafError {
        let names = path.map(Self.shown)
        guard let field = names.last else {
            return LeafError(.usage, "a value is not of the right kind: it \(what)")
        }
        return LeafError(.usage, "'\(field)' \(what)", field: names.joined(separator: "."))
    }

    /// A field that nobody knows, and the known one that was perhaps meant.
    package static func unknown(_ name: String, among known: [String]) -> LeafError {
        let nearest = NearestName.of(name, among: known)
        return LeafError(
            .usage, "there is no option '\(shown(name))'" + (nearest.map { "; did you mean '\($0)'?" } ?? ""),
            field: shown(name))
    }

    /// A name as it may stand in a sentence: not too long, and what cannot be seen of it as an escape.
    private static func shown(_ name: String) -> String {
        String(String.UnicodeScalarView(name.unicodeScalars.prefix(60))).printable
    }

    private func fault(_ what: String) -> LeafError {
        LeafError(.usage, "it is not valid JSON: \(what) at byte \(position - bytes.startIndex + 1)")
    }

    private mutating func expect(_ wanted: Kind, _ name: String? = nil) throws(LeafError) {
        _ = try kind(among: [wanted], name)
    }

    private mutating func descend() throws(LeafError) {
        guard depth < Self.deepest else {
            throw fault("lists and objects are more than \(Self.deepest) deep")
        }
        depth += 1
        position += 1
    }

    // MARK: Bytes

    private var byte: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    /// Passes the byte if it comes next, but for space.
    private mutating func take(_ wanted: UInt8) -> Bool {
        skipSpace()
        guard byte == wanted else { return false }
        position += 1
        return true
    }

    private mutating func word(_ word: String) throws(LeafError) {
        guard bytes[position...].starts(with: word.utf8) else { throw fault("no value begins so") }
        position += word.utf8.count
    }

    private mutating func numberLiteral() throws(LeafError) -> String {
        let start = position
        for name in ["NaN", "Infinity", "-Infinity"] where bytes[start...].starts(with: name.utf8) {
            position += name.utf8.count
            return name
        }
        func digits() throws(LeafError) {
            guard let first = byte, isDigit(first) else { throw fault("a digit is missing") }
            while let next = self.byte, isDigit(next) { position += 1 }
        }
        if byte == UInt8(ascii: "-") { position += 1 }
        if byte == UInt8(ascii: "0") { position += 1 } else { try digits() }
        if byte == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
            position += 1
            if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}

extension JSONReader {
    /// Passes one value and the end behind it.
    ///
    /// - Returns: where texts and numbers stand that JSON does not have, and Python's `json` reads and writes: those
    ///   with half a character, NaN and the infinities. Positions are those of the slice.
    mutating func checkWhole() throws(LeafError) -> [Range<Int>] {
        pythonOnly = []
        try skip()
        try end()
        return pythonOnly ?? []
    }

    /// What stands between the quotes, the first of which is next.
    ///
    /// - Parameter isRead: whether anybody does. If not, half a character becomes U+FFFD.
    private mutating func string(isRead: Bool = true) throws(LeafError) -> String {
        let quote = position
        position += 1
        let start = position
        while let byte, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        var text = Array(bytes[start..<position])
        var hasHalf = false
        while let next = byte, next != UInt8(ascii: "\"") {
            switch next {
            case UInt8(ascii: "\\"):
                let escape = position
                guard try !takeEscape(&text) else { continue }
                hasHalf = true
                guard !isRead else {
                    let digits = String(decoding: bytes[escape + 2..<position], as: UTF8.self).lowercased()
                    position = escape
                    throw fault("half a character (a lone surrogate, \\u\(digits)) stands")
                }
                text += "\u{FFFD}".utf8
            case 0..<0x20: throw fault("a control character, which a text holds as \\u00.., stands")
            default:
                text.append(next)
                position += 1
            }
        }
        guard byte != nil else { throw fault("a text has no end") }
        position += 1
        guard let string = String(validating: text, as: UTF8.self) else {
            throw fault("a text that is not valid UTF-8 ends")
        }
        if hasHalf { pythonOnly?.append(quote..<position) }
        return string
    }

    /// Passes an escape and appends what it stands for.
    ///
    /// - Returns: false for half a character alone, for which nothing is appended.
    private mutating func takeEscape(_ text: inout [UInt8]) throws(LeafError) -> Bool {
        let start = position
        position += 1
        guard let name = byte else { throw fault("a text has no end") }
        position += 1
        switch name {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(name)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var unit = try codeUnit(start)
            if (0xD800..<0xDC00).contains(unit), bytes[position...].starts(with: [0x5C, UInt8(ascii: "u")]) {
                let behindFirst = position
                position += 2
                let second = try codeUnit(start)
                if (0xDC00..<0xE000).contains(second) {
                    unit = 0x10000 + (unit - 0xD800) << 10 + (second - 0xDC00)
                } else {
                    position = behindFirst
                }
            }
            guard let scalar = Unicode.Scalar(unit) else { return false }
            text += String(Character(scalar)).utf8
        default:
            position = start
            throw fault("an escape that JSON does not have stands")
        }
        return true
    }

    /// Four hexadecimal digits.
    private mutating func codeUnit(_ start: Int) throws(LeafError) -> UInt32 {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte, byte < 0x80, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                position = start
                throw fault("\\u without four hexadecimal digits stands")
            }
            unit = unit << 4 | UInt32(digit)
            position += 1
        }
        return unit
    }
}
