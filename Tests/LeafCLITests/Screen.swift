/// What somebody sees on a terminal: the part of it that this program uses, told apart from what it sent on the way.
struct Screen: CustomStringConvertible {
    private static let blank: Character = " "
    private let columns: Int
    private let height: Int
    /// All that were ever there, those that have scrolled away too.
    private var rows: [[Character?]] = [[]]
    private var (row, column) = (0, 0)
    /// The first row that is on the screen.
    private var top = 0
    /// Counts rows from `top`.
    private var saved = (row: 0, column: 0)

    /// - Parameter sent: every byte that came, in order.
    init(_ sent: String, columns: Int = 80, height: Int = 24) {
        self.columns = columns
        self.height = height
        var rest = sent.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\r": column = 0
            case "\n": moveDown()
            case "\u{1B}": command(&rest)
            default: put(Character(scalar))
            }
        }
    }

    /// The lines without the spaces at their ends. The second half of a wide letter is none.
    var lines: [String] {
        rows.map { row in
            var line = String(row.compactMap { $0 })
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }

    var description: String { lines.joined(separator: "\n") }

    private mutating func moveDown() {
        row += 1
        if row == rows.count { rows.append([]) }
        top = max(top, row - height + 1)
    }

    private mutating func put(_ character: Character) {
        let width = ("\u{2E80}"..."\u{FFE6}").contains(character) ? 2 : 1
        if column + width > columns {
            column = 0
            moveDown()
        }
        while rows[row].count < column + width { rows[row].append(Self.blank) }
        rows[row][column] = character
        if width == 2 { rows[row][column + 1] = nil }
        column += width
    }

    private mutating func command(_ rest: inout Substring.UnicodeScalarView) {
        switch rest.popFirst() {
        case "D":
            // A cursor that waits behind a full line stands on its last column from then on.
            column = min(column, columns - 1)
            moveDown()
        case "M": row = max(top, row - 1)
        case "7": saved = (row - top, column)
        case "8": (row, column) = (top + saved.row, saved.column)
        case "[": edit(&rest)
        default: put("?")
        }
    }

    /// `ESC [ number letter`
    private mutating func edit(_ rest: inout Substring.UnicodeScalarView) {
        while let scalar = rest.popFirst() {
            if ("0"..."9").contains(scalar) { continue }
            switch scalar {
            case "K": rows[row].removeSubrange(min(column, columns - 1, rows[row].count)...)
            default: put("?")
            }
            return
        }
    }
}
