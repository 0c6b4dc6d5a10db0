import LeafSystem

/// The operands of a pickle's instructions, one after the other.
struct PickleBytes {
    /// The file's name, for messages.
    let path: String
    private let bytes: [UInt8]
    private(set) var position = 0

    private static let maximumString = 1 << 16

    init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
    }

    var count: Int { bytes.count }

    func fault(_ what: String) -> LeafError {
        LeafError(.badInput, "\(path): \(what) (at byte \(position) of the table of tensors)")
    }

    mutating func take(_ count: Int) throws(LeafError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw fault("the pickle is cut off") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    mutating func skip(_ count: Int) throws(LeafError) { _ = try take(count) }

    mutating func byte() throws(LeafError) -> UInt8 { try take(1).first! }

    /// A little-endian number of up to eight bytes; one of more than 63 bits becomes the largest number.
    mutating func unsigned(_ count: Int) throws(LeafError) -> Int {
        Int(clamping: try take(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    /// A two's complement number of up to eight bytes.
    mutating func long() throws(LeafError) -> Int {
        let count = Int(try byte())
        guard count <= 8 else { throw fault("the pickle has a number of \(count) bytes") }
        let digits = try take(count)
        let isNegative = (digits.last ?? 0) & 0x80 != 0
        return digits.reversed().reduce(isNegative ? -1 : 0) { $0 << 8 | Int($1) }
    }

    mutating func string(_ count: Int) throws(LeafError) -> String {
        guard count <= Self.maximumString else { throw fault("the pickle has a string of \(count) bytes") }
        guard let text = String(validating: try take(count), as: UTF8.self) else {
            throw fault("the pickle has a string that is not UTF-8")
        }
        return text
    }

    /// The bytes up to a line break, without it.
    mutating func line() throws(LeafError) -> String {
        guard let end = bytes[position...].prefix(256).firstIndex(of: UInt8(ascii: "\n")) else {
            throw fault("the pickle has a name without an end")
        }
        let text = try string(end - position)
        try skip(1)
        return text
    }
}
