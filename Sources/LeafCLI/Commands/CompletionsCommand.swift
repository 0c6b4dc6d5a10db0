import LeafArguments
import Leafcutter

/// `leafcutter completions SHELL`
struct CompletionsCommand: Command {
    var shell = ""
    var common = CommonOptions()

    static let syntax = CommandSyntax<CompletionsCommand>(
        name: "completions", summary: "Print a script that completes commands and options in a shell.",
        arguments: [
            .required(
                "SHELL", "bash, zsh or fish.", \.shell, suggest: .words(Shell.allCases.map(\.rawValue)))
        ],
        examples: [
            "completions bash > ~/.local/share/bash-completion/completions/leafcutter",
            "completions fish > ~/.config/fish/completions/leafcutter.fish",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let shell = Shell(argument: shell) else {
            throw LeafError(.usage, "\(shell) is not \(Shell.expectation)")
        }
        terminal.output.write(shell.completions(Program.outlines))
    }
}
