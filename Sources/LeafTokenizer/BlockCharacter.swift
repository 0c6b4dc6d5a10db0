/// The characters that jieba segments: `[\u4E00-\u9FD5a-zA-Z0-9+#&._%\-]`.
///
/// A run of them is a *block*; every other character is a word of its own. A block has only UTF-8 characters of one
/// byte (ASCII) or three bytes (Han), so it is read without decoding. A *slot* numbers these characters densely: ASCII
/// characters have their codes, Han characters follow from 128 on.
enum BlockCharacter {
    private static let firstHan = 0x4E00
    private static let lastHan = 0x9FD5

    /// The number of Han characters.
    static let hanCount = lastHan - firstHan + 1
    /// The number of slots.
    static let count = 128 + hanCount

    /// The slot of a character given as a UTF-16 unit; nil if it cannot be in a block.
    static func slot(of unit: UInt16) -> Int? {
        if unit < 128 { return isBlockASCII(UInt8(unit)) ? Int(unit) : nil }
        let han = Int(unit) - firstHan
        return (0..<hanCount).contains(han) ? 128 + han : nil
    }

    /// The slot of the block character at `position` of a block.
    @inline(__always)
    static func slot(in text: Span<UInt8>, at position: Int) -> Int {
        let lead = text[position]
        return lead < 0x80 ? Int(lead) : 128 + hanIndex(in: text, at: position)
    }

    /// Index of the Han character at `position`, from 0 for U+4E00.
    @inline(__always)
    static func hanIndex(in text: Span<UInt8>, at position: Int) -> Int {
        let high = Int(text[position] & 0x0F) << 12
        let middle = Int(text[position + 1] & 0x3F) << 6
        return (high | middle | Int(text[position + 2] & 0x3F)) - firstHan
    }

    /// Whether the character at `position` of a valid text can be in a block.
    @inline(__always)
    static func isPresent(in text: Span<UInt8>, at position: Int) -> Bool {
        let lead = text[position]
        if lead < 0x80 { return isBlockASCII(lead) }
        // U+4E00...U+9FD5 begin with E4 to E9, and so do other characters near them.
        return (0xE4...0xE9).contains(lead) && (0..<hanCount).contains(hanIndex(in: text, at: position))
    }

    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isBlockASCII(_ byte: UInt8) -> Bool {
        if isLetterOrDigit(byte) { return true }
        switch byte {
        case UInt8(ascii: "+"), UInt8(ascii: "#"), UInt8(ascii: "&"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "%"), UInt8(ascii: "-"):
            return true
        default: return false
        }
    }
}
