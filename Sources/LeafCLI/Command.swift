import LeafArguments
import Leafcutter

/// A command: its syntax, and how it runs.
protocol Command: Sendable {
    static var syntax: CommandSyntax<Self> { get }
    /// The command with every option at its default.
    init()
    var common: CommonOptions { get }
    func run(_ terminal: Terminal) throws(LeafError)
}

extension Command {
    static var name: String { syntax.name }
    static var outline: CommandOutline { syntax.outline }

    /// Parses the words after the command's name and runs it.
    static func run(_ words: [String]) throws(LeafError) {
        if CommandSyntax<Self>.wantsHelp(words) { return try Output.print(outline.help) }
        var command = Self()
        let escapes = try syntax.parse(words, into: &command)
        let terminal = Terminal(command.common)
        if let name = escapes.first {
            terminal.warn(
                "\(name) holds a backslash and an n, which is no line break; $'...\\n' makes one in bash and zsh")
        }
        do throws(LeafError) {
            try command.run(terminal)
        } catch {
            terminal.progress.clear()
            terminal.output.flush()
            throw error
        }
        terminal.progress.clear()
        try terminal.output.finish()
    }
}

/// Options that every command has.
struct CommonOptions: Sendable {
    var isJSON = false
    var isQuiet = false
    var isVerbose = false

    static let quietness: [CommandOption<CommonOptions>] = [
        .flag("quiet", letter: "q", "No progress and no statistics.", \.isQuiet),
        .flag("verbose", letter: "v", "More of both.", \.isVerbose),
    ]

    static let all =
        [
            .flag("json", "One JSON object on standard output and nothing else there.", \.isJSON)
        ] + quietness
}
