/// The syntax of a command without its type, for help and completions.
public struct CommandOutline: Sendable {
    public struct Option: Sendable {
        public let name: String
        public let letter: Character?
        public let placeholder: String?
        public let help: String
        public let suggestion: ValueSuggestion

        /// `--memory SIZE`, `-q, --quiet`
        var form: String {
            (letter.map { "-\($0), " } ?? "") + "--\(name)" + (placeholder.map { " \($0)" } ?? "")
        }
    }

    public struct Argument: Sendable {
        public let name: String
        public let help: String
        public let suggestion: ValueSuggestion
    }

    public let name: String
    public let summary: String
    public let discussion: String
    public let usage: String
    public let arguments: [Argument]
    public let options: [Option]
    public let examples: [String]
}

extension CommandSyntax {
    /// The outline of this command. Every command also has `--help`.
    public var outline: CommandOutline {
        let help = CommandOutline.Option(
            name: "help", letter: "h", placeholder: nil, help: "Show this.", suggestion: .none)
        return CommandOutline(
            name: name, summary: summary, discussion: discussion, usage: usage,
            arguments: arguments.map {
                CommandOutline.Argument(name: $0.name, help: $0.help, suggestion: $0.suggestion)
            },
            options: options.map {
                CommandOutline.Option(
                    name: $0.name, letter: $0.letter, placeholder: $0.placeholder, help: $0.help,
                    suggestion: $0.suggestion)
            } + [help],
            examples: examples)
    }

    /// Whether the words after the command's name ask for help.
    public static func wantsHelp(_ words: [String]) -> Bool {
        words.prefix { $0 != "--" }.contains { $0 == "--help" || $0 == "-h" }
    }
}
