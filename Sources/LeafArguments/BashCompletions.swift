/// Completions for bash: load with `source <(leafcutter completions bash)`.
struct BashCompletions {
    let commands: [CommandOutline]

    var script: String {
        """
        # bash completion for leafcutter
        _leafcutter_paths() {
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen "$@" -- "$current")
        }
        # Model files and folders; all files where there are no models, or one is there already.
        _leafcutter_models() {
            local word
            for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
                if [ "${word%.leaf}" != "$word" ]; then
                    _leafcutter_paths -f
                    return
                fi
            done
            _leafcutter_paths -f -X '!*.leaf'
            if [ "${#COMPREPLY[@]}" -eq 0 ]; then
                _leafcutter_paths -f
            else
                local models=("${COMPREPLY[@]}")
                _leafcutter_paths -d
                COMPREPLY=("${models[@]}" "${COMPREPLY[@]}")
            fi
        }
        _leafcutter() {
            local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
            COMPREPLY=()
            if [ "$COMP_CWORD" -le 1 ]; then
                COMPREPLY=($(compgen -W "\(commands.map(\.name).joined(separator: " ")) --help --version" -- "$current"))
                return
            fi
            # --name=value is three words to bash.
            if [ "$current" = "=" ]; then
                current=""
            elif [ "$previous" = "=" ]; then
                previous="${COMP_WORDS[COMP_CWORD-2]}"
            fi
            case "${COMP_WORDS[1]}" in
        \(commands.map(cases).joined(separator: "\n"))
            esac
        }
        complete -F _leafcutter leafcutter

        """
    }

    private func cases(_ command: CommandOutline) -> String {
        let options = command.options.map { "--\($0.name)" }.joined(separator: " ")
        let values = (command.arguments.compactMap(value) + command.options.compactMap(value)).joined(separator: "\n")
        let words = command.arguments.flatMap { fixedWords($0.suggestion) }
        let takesModel = command.arguments.contains { $0.suggestion == .model }
        let otherwise =
            words.isEmpty
            ? takesModel ? "_leafcutter_models" : "_leafcutter_paths -f"
            : #"COMPREPLY=($(compgen -W "\#(words.joined(separator: " "))" -- "$current"))"#
        return """
                \(command.name))
                    case "$previous" in
            \(values.isEmpty ? "            # no option has a value" : values)
                    esac
                    case "$current" in
                        -*) COMPREPLY=($(compgen -W "\(options)" -- "$current")) ;;
                        *) \(otherwise) ;;
                    esac
                    ;;
            """
    }

    private func value(_ option: CommandOutline.Option) -> String? {
        guard option.placeholder != nil else { return nil }
        return value("--\(option.name)" + (option.letter.map { "|-\($0)" } ?? ""), option.suggestion)
    }

    private func value(_ argument: CommandOutline.Argument) -> String? {
        argument.letter.map { value("-\($0)", argument.suggestion) }
    }

    private func value(_ names: String, _ suggestion: ValueSuggestion) -> String {
        let reply =
            switch suggestion {
            case .none: "return"
            case .file: "_leafcutter_paths -f; return"
            case .model: "_leafcutter_models; return"
            case .folder: "_leafcutter_paths -d; return"
            case .words(let words):
                #"COMPREPLY=($(compgen -W "\#(words.joined(separator: " "))" -- "$current")); return"#
            }
        return "            \(names)) \(reply) ;;"
    }

    private func fixedWords(_ suggestion: ValueSuggestion) -> [String] {
        if case .words(let words) = suggestion { words } else { [] }
    }
}
