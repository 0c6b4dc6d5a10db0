import LeafFormat
package import LeafSystem

/// The syntax of a command; its parsing, help and completions all come from it.
package struct CommandSyntax<Command>: Sendable {
    package let name: String
    /// One line for the list of commands.
    package let summary: String
    /// Paragraphs for the command's own help.
    package let discussion: String
    package let arguments: [CommandArgument<Command>]
    package let options: [CommandOption<Command>]
    /// Command lines without the program's name.
    package let examples: [String]

    /// - Parameter arguments: required ones first, then optional ones.
    package init(
        name: String, summary: String, discussion: String = "", arguments: [CommandArgument<Command>] = [],
        options: [CommandOption<Command>] = [], examples: [String] = []
    ) {
        self.name = name
        self.summary = summary
        self.discussion = discussion
        self.arguments = arguments
        self.options = options
        self.examples = examples
    }

    /// Stores the words after the command's name in a command.
    ///
    /// Options may be anywhere, as `--name value` or `--name=value`; names may be typed with underscores. `--` ends the
    /// options, and `-` is an argument. An argument with a letter may be given by it anywhere; the words without a
    /// letter are then the others in their order.
    ///
    /// - Returns: the names of texts that hold a backslash and an n, where a line break may have been meant.
    /// - Throws: `.usage` for an unknown option or argument, or one that is missing.
    @discardableResult
    package func parse(_ words: [String], into command: inout Command) throws(LeafError) -> [String] {
        var escapes: [String] = []
        var words = words[...]
        var pending = arguments
        var plain: [String] = []
        var takesOptions = true
        while let word = words.popFirst() {
            if takesOptions, word == "--" {
                takesOptions = false
            } else if takesOptions, word.hasPrefix("--") {
                try parseLong(word.dropFirst(2), &words, &escapes, &command)
            } else if takesOptions, word.hasPrefix("-"), word.count > 1 {
                try parseShort(word.dropFirst(), &words, &pending, &escapes, &command)
            } else {
                plain.append(word)
            }
        }
        for word in plain {
            guard let argument = pending.first else { throw tooMany(word) }
            pending.removeFirst()
            try set(argument, word, &escapes, &command)
        }
        if let missing = pending.first(where: \.isRequired) {
            throw LeafError(.usage, "\(missing.name) is missing; the form is \(usage)")
        }
        return escapes
    }

    /// `leafcutter verify MODEL [OPTIONS]`
    package var usage: String {
        let positionals = arguments.map { $0.isRequired ? $0.name : "[\($0.name)]" }
        return (["leafcutter", name] + positionals + ["[OPTIONS]"]).joined(separator: " ")
    }

    private func set(
        _ argument: CommandArgument<Command>, _ word: String, _ escapes: inout [String], _ command: inout Command
    ) throws(LeafError) {
        guard !word.isEmpty || !argument.suggestion.isPath else {
            throw LeafError(.usage, "\(argument.name) is empty; the form is \(usage)")
        }
        if argument.isText, word.contains("\\n") { escapes.append(argument.name) }
        argument.set(&command, word)
    }

    private func parseLong(
        _ word: Substring, _ rest: inout ArraySlice<String>, _ escapes: inout [String], _ command: inout Command
    ) throws(LeafError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        let known = name.replacing("_", with: "-")
        guard let option = options.first(where: { $0.name == known }) else {
            throw LeafError(.usage, "there is no option --\(name)\(suggestion(for: name))")
        }
        try apply(option, "--\(name)", parts.count == 2 ? String(parts[1]) : nil, &rest, &escapes, &command)
    }

    /// Letters of options without a value may follow one dash together: `-qv`.
    private func parseShort(
        _ word: Substring, _ rest: inout ArraySlice<String>, _ pending: inout [CommandArgument<Command>],
        _ escapes: inout [String], _ command: inout Command
    ) throws(LeafError) {
        var letters = word
        while let letter = letters.popFirst() {
            if let argument = argument(by: letter) {
                guard let index = pending.firstIndex(where: { $0.name == argument.name }) else {
                    throw LeafError(.usage, "\(argument.name) is given twice; the form is \(usage)")
                }
                guard let word = letters.isEmpty ? rest.popFirst() : String(letters) else {
                    throw LeafError(.usage, "-\(letter) needs a value: -\(letter) \(argument.name)")
                }
                pending.remove(at: index)
                return try set(argument, word, &escapes, &command)
            }
            guard let option = options.first(where: { $0.letter == letter }) else {
                throw LeafError(.usage, "there is no option -\(letter); a text that begins with a dash goes after --")
            }
            let attached = option.placeholder == nil || letters.isEmpty ? nil : String(letters)
            try apply(option, "-\(letter)", attached, &rest, &escapes, &command)
            if attached != nil { return }
        }
    }

    /// Options keep their letters.
    func argument(by letter: Character) -> CommandArgument<Command>? {
        options.contains { $0.letter == letter } ? nil : arguments.first { $0.letter == letter }
    }

    private func apply(
        _ option: CommandOption<Command>, _ typed: String, _ attached: String?, _ rest: inout ArraySlice<String>,
        _ escapes: inout [String], _ command: inout Command
    ) throws(LeafError) {
        guard let placeholder = option.placeholder else {
            guard attached == nil else { throw LeafError(.usage, "\(typed) takes no value") }
            return try option.set(&command, "")
        }
        let value = attached ?? rest.first.flatMap { $0.hasPrefix("--") ? nil : $0 }
        // A text may be empty; a name, a number or a path is missing then.
        guard let value, !value.isEmpty || option.isText else {
            throw LeafError(.usage, "\(typed) needs a value: \(typed) \(placeholder)")
        }
        if attached == nil { rest.removeFirst() }
        if option.isText, value.contains("\\n") { escapes.append(typed) }
        try option.set(&command, value)
    }

    private func tooMany(_ word: String) -> LeafError {
        let shown = word.count > 40 ? word.prefix(40) + "..." : word[...]
        return LeafError(.usage, "'\(shown)' is one argument too many; the form is \(usage); quote a text with spaces")
    }

    private func suggestion(for name: String) -> String {
        guard let nearest = NearestName.of(name.replacing("_", with: "-"), among: options.map(\.name) + ["help"]) else {
            return "; see leafcutter \(self.name) --help"
        }
        return "; did you mean --\(nearest)?"
    }
}
