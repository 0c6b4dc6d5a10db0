/// Completions for zsh: put the script into a folder of `$fpath` as `_leafcutter`.
struct ZshCompletions {
    let commands: [CommandOutline]

    var script: String {
        """
        #compdef leafcutter
        _leafcutter() {
            local -a commands
            commands=(
        \(commands.map { "        " + quoted("\($0.name):\($0.summary)") }.joined(separator: "\n"))
            )
            if (( CURRENT == 2 )); then
                _describe 'command' commands -- '(--help --version)'
                return
            fi
            local command="${words[2]}"
            shift words
            (( CURRENT -= 1 ))
            case "$command" in
        \(commands.map(cases).joined(separator: "\n"))
            esac
        }
        if [ "${funcstack[1]}" = "_leafcutter" ]; then _leafcutter "$@"; else compdef _leafcutter leafcutter; fi

        """
    }

    private func cases(_ command: CommandOutline) -> String {
        let specifications =
            command.options.flatMap(specifications)
            + command.arguments.compactMap { argument in
                argument.letter.map {
                    quoted("-\($0)[\(described(argument.help))]:\(argument.name):\(action(argument.suggestion))")
                }
            }
            + command.arguments.enumerated().map { index, argument in
                quoted("\(index + 1):\(argument.name):\(action(argument.suggestion))")
            }
        let list = specifications.map { "            \($0)" }.joined(separator: " \\\n")
        return """
                \(command.name))
                    _arguments \\
            \(list)
                    ;;
            """
    }

    /// The long name, with the value after a blank or `=`, and the letter. Only one of them can be given.
    private func specifications(_ option: CommandOutline.Option) -> [String] {
        let help = described(option.help)
        let value = option.placeholder.map { ":\($0):\(action(option.suggestion))" } ?? ""
        let name = "--\(option.name)" + (value.isEmpty ? "" : "=")
        guard let letter = option.letter else { return [quoted("\(name)[\(help)]\(value)")] }
        let either = "(-\(letter) --\(option.name))"
        return [quoted("\(either)\(name)[\(help)]\(value)"), quoted("\(either)-\(letter)[\(help)]\(value)")]
    }

    private func described(_ help: String) -> String {
        help.replacing("[", with: "(").replacing("]", with: ")").replacing(":", with: "\\:")
    }

    private func action(_ suggestion: ValueSuggestion) -> String {
        switch suggestion {
        // No suggestions. An empty action would hide the options.
        case .none: "()"
        case .file: "_files"
        // All files where there are none of models.
        case .model: "_files -g \"*.leaf\""
        case .folder: "_files -/"
        case .words(let words): "(\(words.joined(separator: " ")))"
        }
    }

    private func quoted(_ text: String) -> String {
        "'" + text.replacing("'", with: #"'\''"#) + "'"
    }
}
