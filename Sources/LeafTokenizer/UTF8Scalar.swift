/// Decodes UTF-8 that is known to be valid.
enum UTF8Scalar {
    /// The number of bytes of the scalar that begins with `lead`.
    @inline(__always)
    static func width(lead: UInt8) -> Int {
        lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    }

    /// Whether a byte continues a scalar.
    @inline(__always)
    static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    /// The scalar that begins at a position of valid UTF-8.
    static func scalar(at position: Int, of text: Span<UInt8>) -> Unicode.Scalar {
        let lead = text[position]
        let width = width(lead: lead)
        guard width > 1 else { return Unicode.Scalar(lead) }
        var value = UInt32(lead) & (0xFF >> (UInt32(width) + 1))
        for next in position + 1..<position + width { value = value << 6 | UInt32(text[next]) & 0x3F }
        return Unicode.Scalar(value) ?? "\u{FFFD}"
    }
}
