import Glibc

/// How wide things are on a terminal.
package enum TerminalWidth {
    /// Columns of a line.
    static var columns: Int {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    /// Columns below which a word fills a line: there texts are left to the terminal, and no line is rewritten.
    package static let fewest = 11

    /// What takes two columns: Unicode's wide and fullwidth letters, in its order. Terminals take ambiguous ones, such
    /// as Chinese quotation marks, for narrow.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
        0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,
    ]

    package static func of(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first, !character.isASCII else { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return wide.contains { $0.contains(scalar.value) } ? 2 : 1
        }
    }

    static func of(_ text: String) -> Int { text.reduce(0) { $0 + of($1) } }

    /// The beginning of a text that fits.
    static func fitted(_ text: String, to columns: Int) -> String {
        var left = columns
        return String(
            text.prefix { character in
                left -= of(character)
                return left >= 0
            })
    }

    /// The text in lines that fit, broken at its spaces; a word that is longer than a line is left to the terminal,
    /// and so is everything where lines are too short for words.
    package static func wrapped(_ text: String, to columns: Int) -> [String] {
        guard columns >= fewest, of(text) > columns else { return [text] }
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if !line.isEmpty, of(line) + 1 + of(String(word)) > columns {
                lines.append(line)
                line = String(word)
            } else {
                line += (line.isEmpty ? "" : " ") + word
            }
        }
        return lines + [line]
    }
}

/// Where on a terminal a text goes on.
struct TextCursor {
    /// As many as the line has while the next letter is going to begin a new one.
    private(set) var column = 0
    /// Whether something stood below the line already, so that the screen need not scroll for it.
    var hasRoomBelow = false

    mutating func pass(_ text: String, columns: Int) {
        for character in text {
            if character.isNewline {
                self = TextCursor()
            } else if character == "\t" {
                column = max(column, min((column / 8 + 1) * 8, columns - 1))
            } else {
                let width = TerminalWidth.of(character)
                if column + width > columns { self = TextCursor() }
                column += width
            }
        }
    }

    /// A line that ended behind the text.
    mutating func endLine() { self = TextCursor() }
}
