/// A shell with support for completions.
package enum Shell: String, Sendable, CaseIterable, ArgumentValue {
    case bash, zsh, fish

    /// A script that completes `leafcutter`'s commands, options and values.
    package func completions(_ commands: [CommandOutline]) -> String {
        switch self {
        case .bash: BashCompletions(commands: commands).script
        case .zsh: ZshCompletions(commands: commands).script
        case .fish: FishCompletions(commands: commands).script
        }
    }
}
