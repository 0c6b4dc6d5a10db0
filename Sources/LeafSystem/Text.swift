extension Sequence<String> {
    /// The first few, and how many there are beyond: `a, b, c, d and 7 more`.
    package func listed(atMost most: Int = 4) -> String {
        let all = Array(self)
        let shown = all.prefix(most).joined(separator: ", ")
        return all.count > most ? "\(shown) and \(all.count - most) more" : shown
    }
}

extension String {
    /// The same on one line, without what a terminal would take for a command and without what nobody sees.
    ///
    /// Names from files and words from a command line stand in messages and tables. An escape sequence among them could
    /// set the title of a window or write over other lines, and a mark of direction, a soft hyphen or a no-break space
    /// could make a name look like another. Each such scalar becomes `\u{1b}`; there is nothing left to escape in a
    /// text that was escaped before.
    package var printable: String {
        var last: Unicode.Scalar?
        return escaping { scalar in
            let isEscaped = scalar.isControl || scalar.isOddSpace || scalar.isInvisible(behind: last)
            last = isEscaped ? nil : scalar
            return isEscaped
        }
    }

    /// The same for a text of several lines, in which nothing has to be told from anything: line breaks and tabs stay,
    /// and so does what nobody sees.
    package var printableLines: String { escaping { $0.isControl && $0 != "\n" && $0 != "\t" } }

    /// Whether a decimal number is 0, however it is written; what is too small for a type is not.
    package var isZero: Bool {
        let mantissa = utf8.prefix { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "E") }
        return !mantissa.contains { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
    }

    private func escaping(_ isEscaped: (Unicode.Scalar) -> Bool) -> String {
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

    /// Whether it looks like the space that people type, and is another one.
    fileprivate var isOddSpace: Bool { value != 0x20 && properties.generalCategory == .spaceSeparator }

    /// Whether it takes no place of its own in a line, and does nothing for the scalar before it either: joiners and
    /// selectors belong to emoji, and joiners to scripts whose letters join.
    fileprivate func isInvisible(behind last: Unicode.Scalar?) -> Bool {
        guard properties.isDefaultIgnorableCodePoint else { return false }
        guard let last else { return true }
        let isEmoji = last.value > 0xFF && last.properties.isEmoji
        switch value {
        case 0x200D: return !isEmoji && last.value != 0xFE0F && !last.joins
        case 0x200C: return !last.joins
        case 0xFE0E, 0xFE0F: return !isEmoji
        default: return true
        }
    }

    /// Whether it is of a script from Arabic to those of India and their neighbours.
    private var joins: Bool { (0x600...0x1CFF).contains(value) }
}
