/// The syntax of a command without its type, for help and completions.
package struct CommandOutline: Sendable {
    package struct Option: Sendable {
        package let name: String
        package let letter: Character?
        package let placeholder: String?
        package let help: String
        package let suggestion: ValueSuggestion

        /// `--memory SIZE`, `-q, --quiet`
        var form: String {
            (letter.map { "-\($0), " } ?? "") + "--\(name)" + (placeholder.map { " \($0)" } ?? "")
        }
    }

    package struct Argument: Sendable {
        package let name: String
        /// Nil where no letter stands for it, or an option has that letter.
        package let letter: Character?
        package let help: String
        package let suggestion: ValueSuggestion

        /// `MODEL, -m MODEL`, `OUT.leaf`
        var form: String { name + (letter.map { ", -\($0) \(name)" } ?? "") }
    }

    package let name: String
    package let summary: String
    package let discussion: String
    package let usage: String
    package let arguments: [Argument]
    package let options: [Option]
    package let examples: [String]
}

extension CommandSyntax {
    /// The outline of this command. Every command also has `--help`.
    package var outline: CommandOutline {
        let help = CommandOutline.Option(
            name: "help", letter: "h", placeholder: nil, help: "Show this.", suggestion: .none)
        return CommandOutline(
            name: name, summary: summary, discussion: discussion, usage: usage,
            arguments: arguments.map {
                CommandOutline.Argument(
                    name: $0.name, letter: $0.letter.flatMap { argument(by: $0)?.letter }, help: $0.help,
                    suggestion: $0.suggestion)
            },
            options: options.map {
                CommandOutline.Option(
                    name: $0.name, letter: $0.letter, placeholder: $0.placeholder, help: $0.help,
                    suggestion: $0.suggestion)
            } + [help],
            examples: examples)
    }

    /// Whether the words after the command's name ask for help.
    package static func wantsHelp(_ words: [String]) -> Bool {
        words.prefix { $0 != "--" }.contains { $0 == "--help" || $0 == "-h" }
    }
}
