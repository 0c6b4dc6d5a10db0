extension Sequence<String> {
    /// The first few, and how many there are beyond: `a, b, c, d and 7 more`.
    package func listed(atMost most: Int = 4) -> String {
        let all = Array(self)
        let shown = all.prefix(most).joined(separator: ", ")
        return all.count > most ? "\(shown) and \(all.count - most) more" : shown
    }
}

extension String {
    /// The same on one line, and without what a terminal would take for a command.
    ///
    /// Names from files stand in messages and tables. An escape sequence among them could set the title of a window or
    /// write over other lines, and a mark of direction could make a name look like another. Each such scalar becomes
    /// `\u{1b}`; there is nothing left to escape in a text that was escaped before.
    package var printable: String {
        escapingControls()
    }

    /// The same for a text of several lines: line breaks and tabs stay.
    package var printableLines: String {
        escapingControls(except: ["\n", "\t"])
    }

    /// Whether a decimal number is 0, however it is written; what is too small for a type is not.
    package var isZero: Bool {
        let mantissa = utf8.prefix { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "E") }
        return !mantissa.contains { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
    }

    private func escapingControls(except kept: [Unicode.Scalar] = []) -> String {
        func isEscaped(_ scalar: Unicode.Scalar) -> Bool { scalar.isControl && !kept.contains(scalar) }
        guard unicodeScalars.contains(where: isEscaped) else { return self }
        var text = ""
        for scalar in unicodeScalars {
            if isEscaped(scalar) {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

extension Unicode.Scalar {
    /// Whether a terminal takes it for a command: C0, DEL and C1, the separators of lines and paragraphs,
    /// and the marks that embed or override a direction.
    package var isControl: Bool {
        switch value {
        case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
