/// Completions for fish: load with `leafcutter completions fish | source`.
struct FishCompletions {
    let commands: [CommandOutline]

    var script: String {
        let names = commands.map(\.name).joined(separator: " ")
        let atFirst = "-n 'not __fish_seen_subcommand_from \(names)'"
        var lines = ["# fish completion for leafcutter"]
        for command in commands {
            lines.append("complete -c leafcutter -f \(atFirst) -a \(command.name) -d \(quoted(command.summary))")
        }
        lines += ["help", "version"].map { "complete -c leafcutter -f \(atFirst) -l \($0)" }
        for command in commands {
            let within = "complete -c leafcutter -n '__fish_seen_subcommand_from \(command.name)'"
            lines += command.arguments.compactMap { argument in
                switch argument.suggestion {
                case .words(let words): "\(within) -f -a \(quoted(words.joined(separator: " ")))"
                case .model: "\(within) -f -k -a \(Self.models)"
                default: nil
                }
            }
            lines += command.arguments.compactMap { argument in
                argument.letter.map {
                    "\(within) -s \($0)\(value(argument.suggestion, hasValue: true)) -d \(quoted(argument.help))"
                }
            }
            lines += command.options.map { "\(within) \(specification($0))" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func specification(_ option: CommandOutline.Option) -> String {
        let letter = option.letter.map { " -s \($0)" } ?? ""
        let value = value(option.suggestion, hasValue: option.placeholder != nil)
        return "-l \(option.name)\(letter)\(value) -d \(quoted(option.help))"
    }

    private func value(_ suggestion: ValueSuggestion, hasValue: Bool) -> String {
        switch suggestion {
        case .none: hasValue ? " -x" : ""
        case .file: " -r -F"
        case .model: " -x -k -a \(Self.models)"
        case .folder: " -x -a '(__fish_complete_directories)'"
        case .words(let words): " -x -a \(quoted(words.joined(separator: " ")))"
        }
    }

    /// Files of models before the others.
    private static let models = "'(__fish_complete_suffix .leaf)'"

    private func quoted(_ text: String) -> String {
        "'" + text.replacing(#"\"#, with: #"\\"#).replacing("'", with: #"\'"#) + "'"
    }
}
