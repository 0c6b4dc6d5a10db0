extension CommandOutline {
    private static let width = 88

    /// The command's own help.
    package var help: String {
        var sections = [summary, "Usage: \(usage)"]
        if !discussion.isEmpty { sections.append(Self.wrap(discussion, indent: 0)) }
        if !arguments.isEmpty {
            sections.append("Arguments:\n" + Self.table(arguments.map { ($0.form, $0.help) }))
        }
        sections.append("Options:\n" + Self.table(options.map { ($0.form, $0.help) }))
        if !examples.isEmpty {
            sections.append("Examples:\n" + examples.map { "  leafcutter \($0)" }.joined(separator: "\n"))
        }
        return sections.joined(separator: "\n\n") + "\n"
    }

    /// The program's help: its commands.
    package static func overview(_ commands: [CommandOutline], introduction: String, closing: String) -> String {
        let table = table(commands.map { ($0.name, $0.summary) })
        return [wrap(introduction, indent: 0), "Usage: leafcutter COMMAND [OPTIONS]", "Commands:\n" + table, closing]
            .joined(separator: "\n\n") + "\n"
    }

    /// Formats two columns. If the first entry is wide, it gets a line of its own.
    static func table(_ rows: [(String, String)]) -> String {
        let widest = 26
        let column = min(rows.map(\.0.count).max() ?? 0, widest)
        return rows.map { first, second in
            let text = wrap(second, indent: column + 4)
            guard first.count <= column else {
                return "  \(first)\n" + String(repeating: " ", count: column + 4) + text
            }
            return "  " + first + String(repeating: " ", count: column - first.count + 2) + text
        }.joined(separator: "\n")
    }

    /// Wraps a text between words; every line but the first is indented.
    private static func wrap(_ text: String, indent: Int) -> String {
        var lines: [String] = []
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
            var line = ""
            for word in paragraph.split(separator: " ") {
                if !line.isEmpty, indent + line.count + 1 + word.count > width {
                    lines.append(line)
                    line = ""
                }
                line += (line.isEmpty ? "" : " ") + word
            }
            lines.append(line)
        }
        return lines.joined(separator: "\n" + String(repeating: " ", count: indent))
    }
}
