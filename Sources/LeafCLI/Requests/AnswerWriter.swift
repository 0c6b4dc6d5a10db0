import LeafFormat
import Leafcutter

/// Writes answers to standard output, each as soon as its turn comes.
final class AnswerWriter {
    private let terminal: Terminal
    private let isOrdered: Bool
    /// Nil for JSON lines.
    private let table: AnswerTable?
    /// Whether the facts of the process follow the answers.
    private let hasSummary: Bool
    /// Lines that are there before those of earlier requests; nil for a request that has no answer.
    private var early = InOrder<String?>()

    /// - Parameters:
    ///   - columns: the names of fields that a table has.
    ///   - hasSummary: whether JSON lines end with the facts of the process.
    init(_ options: AnswerOptions, columns: [String], hasSummary: Bool = true, _ terminal: Terminal) {
        self.terminal = terminal
        isOrdered = options.isOrdered
        self.hasSummary = hasSummary && options.format == .jsonl
        table = options.format == .jsonl ? nil : AnswerTable(options.format, columns)
        if let table { terminal.print(line: table.heading) }
    }

    /// Whether another request may begin: no more answers wait for earlier ones than requests are under way.
    ///
    /// - Parameters:
    ///   - taken: requests that were read.
    ///   - ahead: requests under way at most.
    func hasRoom(taken: Int, ahead: Int) -> Bool { !isOrdered || taken - early.done < ahead }

    /// - Parameters:
    ///   - answer: nil for a request that was stopped before anything came of it.
    ///   - number: counts the requests, from 0.
    func write(_ answer: JSON?, of number: Int) {
        let line = answer.map { table?.rows(of: $0) ?? $0.line }
        guard isOrdered else {
            if let line { terminal.print(line: line) }
            return
        }
        early.add(line, at: number) { _, line in
            if let line { terminal.print(line: line) }
        }
    }

    /// Ends the answers with the facts of the process, if there is a place for them.
    func finish(_ summary: @autoclosure () -> JSON) {
        if hasSummary { terminal.print(line: JSON.object([("summary", summary())]).line) }
    }
}

/// Answers as the rows of a table.
struct AnswerTable {
    private let format: AnswerFormat
    private let columns: [String]

    init(_ format: AnswerFormat, _ columns: [String]) { (self.format, self.columns) = (format, columns) }

    /// The names of the columns.
    var heading: String { row(columns) }

    /// A row of an answer, or one for each of its texts.
    func rows(of answer: JSON) -> String {
        guard case .object(let fields) = answer else { return row([answer.line]) }
        var texts: [[(key: String, value: JSON)]] = [[]]
        if case .array(let choices)? = Self.field("choices", of: fields) {
            texts = choices.map { if case .object(let own) = $0 { own } else { [] } }
        }
        return texts.map { own in
            row(columns.map { (Self.field($0, of: own) ?? Self.field($0, of: fields)).map(Self.cell) ?? "" })
        }.joined(separator: "\n")
    }

    /// The ids of a request that has no text stand in its place.
    private static let substitutes = ["prompt": "input_ids", "text": "input_ids"]

    private static func field(_ name: String, of fields: [(key: String, value: JSON)]) -> JSON? {
        fields.first { $0.key == name }?.value
            ?? substitutes[name].flatMap { other in fields.first { $0.key == other }?.value }
    }

    /// A text as it is, the members of a list with spaces between them.
    private static func cell(_ value: JSON) -> String {
        switch value {
        case .null: ""
        case .string(let text): text
        case .array(let members): members.map(cell).joined(separator: " ")
        default: value.line
        }
    }

    private func row(_ cells: [String]) -> String {
        format == .tsv
            ? cells.map(Self.escaped).joined(separator: "\t") : cells.map(Self.quoted).joined(separator: ",")
    }

    /// A field of RFC 4180.
    static func quoted(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { ",\"\n\r".unicodeScalars.contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    /// A field that holds neither a tab nor a line break.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\t": escaped += "\\t"
            case "\n": escaped += "\\n"
            case "\r": escaped += "\\r"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
