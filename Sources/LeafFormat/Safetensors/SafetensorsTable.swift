/// The JSON object of a safetensors header, as it stands there.
///
/// A header may come from anybody and is read before a memory plan is made. So it is scanned once, from front to back,
/// and nothing is held but what comes of it; a general decoder takes up to 25 times the JSON's size.
struct SafetensorsTable {
    struct Entry {
        var name: String
        var type: String
        var shape: [Int] = []
        /// `data_offsets`
        var range: [Int] = []
    }

    /// What is wrong, and after how many bytes.
    struct Fault: Error {
        let reason: String
        let position: Int
    }

    private(set) var metadata: [String: String] = [:]
    private(set) var entries: [Entry] = []

    /// More strings than any file is known to have; one takes up to ten times its JSON.
    private static let maximumStrings = 1024

    /// - Parameter json: without the padding behind.
    init(_ json: ArraySlice<UInt8>) throws(Fault) {
        var scanner = JSONScanner(json)
        var names: Set<String> = []
        try scanner.open("{")
        while let name = try scanner.nextKey() {
            guard names.insert(name).inserted else { throw scanner.fault("\(name) is there twice") }
            if name == "__metadata__" {
                try readMetadata(&scanner)
            } else {
                entries.append(try Self.entry(name, &scanner))
            }
        }
        try scanner.finish()
    }

    private mutating func readMetadata(_ scanner: inout JSONScanner) throws(Fault) {
        guard try !scanner.takeNull() else { return }
        try scanner.open("{")
        while let key = try scanner.nextKey() {
            guard metadata.count < Self.maximumStrings else { throw scanner.fault("there are too many metadata") }
            guard metadata.updateValue(try scanner.string(), forKey: key) == nil else {
                throw scanner.fault("\(key) is there twice")
            }
        }
    }

    private static func entry(_ name: String, _ scanner: inout JSONScanner) throws(Fault) -> Entry {
        var type: String?
        var shape: [Int]?
        var range: [Int]?
        try scanner.open("{")
        while let key = try scanner.nextKey() {
            switch key {
            case "dtype": type = try scanner.string()
            case "shape": shape = try scanner.integers(keeping: SafetensorsHeader.maximumRank + 1)
            case "data_offsets": range = try scanner.integers(keeping: 3)
            default: try scanner.skipValue()
            }
        }
        guard let type, let shape, let range else {
            throw scanner.fault("\(name) lacks dtype, shape or data_offsets")
        }
        return Entry(name: name, type: type, shape: shape, range: range)
    }
}

/// Reads JSON from front to back.
private struct JSONScanner {
    private let bytes: ArraySlice<UInt8>
    private var position: Int
    /// Whether the next key or element is the first of its object or array.
    private var isFirst = false

    /// Of values that nobody asks for.
    private static let maximumDepth = 32

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    func fault(_ reason: String) -> SafetensorsTable.Fault {
        .init(reason: reason, position: position - bytes.startIndex)
    }

    private var broken: SafetensorsTable.Fault { fault("the JSON is broken") }

    /// The next byte that is no white space; 0 at the end.
    private mutating func peek() -> UInt8 {
        while position < bytes.endIndex, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
        return position < bytes.endIndex ? bytes[position] : 0
    }

    private mutating func take(_ character: Unicode.Scalar) throws(SafetensorsTable.Fault) {
        guard peek() == UInt8(ascii: character) else { throw broken }
        position += 1
    }

    /// Begins an object or an array.
    mutating func open(_ bracket: Unicode.Scalar) throws(SafetensorsTable.Fault) {
        try take(bracket)
        isFirst = true
    }

    /// Whether another member follows; behind the last the bracket is taken.
    private mutating func hasNext(before bracket: Unicode.Scalar) throws(SafetensorsTable.Fault) -> Bool {
        if peek() == UInt8(ascii: bracket) {
            position += 1
            isFirst = false
            return false
        }
        if !isFirst { try take(",") }
        isFirst = false
        return true
    }

    /// The key of an object's next value; nil behind the last.
    mutating func nextKey() throws(SafetensorsTable.Fault) -> String? {
        guard try hasNext(before: "}") else { return nil }
        let key = try string()
        try take(":")
        return key
    }

    /// - Throws: if anything follows.
    mutating func finish() throws(SafetensorsTable.Fault) {
        guard peek() == 0, position == bytes.endIndex else { throw broken }
    }

    /// Passes a null, which safetensors reads as no metadata.
    mutating func takeNull() throws(SafetensorsTable.Fault) -> Bool {
        guard peek() == UInt8(ascii: "n") else { return false }
        try skipValue()
        return true
    }

    mutating func string() throws(SafetensorsTable.Fault) -> String {
        try take("\"")
        var text: [UInt8] = []
        while true {
            let rest = bytes[position...]
            guard let end = rest.firstIndex(where: { $0 == 0x22 || $0 == 0x5C || $0 < 0x20 }) else { throw broken }
            let plain = bytes[position..<end]
            position = end
            guard bytes[end] == 0x5C else {
                guard bytes[end] == 0x22, let whole = String(validating: text + plain, as: UTF8.self) else {
                    throw broken
                }
                position += 1
                return whole
            }
            text += plain
            text += try escaped()
        }
    }

    /// What an escape stands for, in UTF-8.
    private mutating func escaped() throws(SafetensorsTable.Fault) -> [UInt8] {
        guard bytes.endIndex - position >= 2 else { throw broken }
        let character = bytes[position + 1]
        position += 2
        switch character {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [character]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): break
        default: throw broken
        }
        var value = try codeUnit()
        if (0xD800..<0xDC00).contains(value) {
            guard bytes[position...].starts(with: "\\u".utf8) else { throw broken }
            position += 2
            let low = try codeUnit()
            guard (0xDC00..<0xE000).contains(low) else { throw broken }
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(value) else { throw broken }
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func codeUnit() throws(SafetensorsTable.Fault) -> UInt32 {
        let digits = bytes[position...].prefix(4)
        var value: UInt32 = 0
        for digit in digits {
            guard let number = Character(Unicode.Scalar(digit)).hexDigitValue else { throw broken }
            value = value << 4 | UInt32(number)
        }
        guard digits.count == 4 else { throw broken }
        position += 4
        return value
    }

    /// An array of whole numbers, of which the first few are kept.
    mutating func integers(keeping most: Int) throws(SafetensorsTable.Fault) -> [Int] {
        try open("[")
        var values: [Int] = []
        while try hasNext(before: "]") {
            let value = try integer()
            if values.count < most { values.append(value) }
        }
        return values
    }

    private mutating func integer() throws(SafetensorsTable.Fault) -> Int {
        let isNegative = peek() == UInt8(ascii: "-")
        if isNegative { position += 1 }
        let digits = bytes[position...].prefix { (0x30...0x39).contains($0) }
        let isWhole = digits.endIndex == bytes.endIndex || ![0x2E, 0x45, 0x65].contains(bytes[digits.endIndex])
        guard isWhole, digits.count == 1 || digits.first != 0x30, digits.count <= 19,
            let value = Int(String(decoding: digits, as: UTF8.self))
        else { throw fault("a number is not whole or too large") }
        position = digits.endIndex
        return isNegative ? -value : value
    }

    mutating func skipValue(depth: Int = 0) throws(SafetensorsTable.Fault) {
        guard depth < Self.maximumDepth else { throw fault("the JSON is nested too deeply") }
        switch peek() {
        case UInt8(ascii: "{"):
            try open("{")
            while try nextKey() != nil { try skipValue(depth: depth + 1) }
        case UInt8(ascii: "["):
            try open("[")
            while try hasNext(before: "]") { try skipValue(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try string()
        default:
            let word = bytes[position...].prefix {
                (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || [0x2B, 0x2D, 0x2E, 0x45].contains($0)
            }
            let text = String(decoding: word, as: UTF8.self)
            guard ["true", "false", "null"].contains(text) || Double(text) != nil else { throw broken }
            position = word.endIndex
        }
    }
}
