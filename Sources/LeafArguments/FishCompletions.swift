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
                if case .words(let words) = argument.suggestion {
                    "\(within) -f -a \(quoted(words.joined(separator: " ")))"
                } else {
                    nil
                }
            }
            lines += command.options.map { "\(within) \(specification($0))" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func specification(_ option: CommandOutline.Option) -> String {
        let letter = option.letter.map { " -s \($0)" } ?? ""
        let value =
            switch option.suggestion {
            case .none: option.placeholder == nil ? "" : " -x"
            case .file: " -r -F"
            case .folder: " -x -a '(__fish_complete_directories)'"
            case .words(let words): " -x -a \(quoted(words.joined(separator: " ")))"
            }
        return "-l \(option.name)\(letter)\(value) -d \(quoted(option.help))"
    }

    private func quoted(_ text: String) -> String {
        "'" + text.replacing(#"\"#, with: #"\\"#).replacing("'", with: #"\'"#) + "'"
    }
}
