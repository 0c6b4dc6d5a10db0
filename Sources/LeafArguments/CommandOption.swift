import LeafSystem

/// What a shell offers to complete a value.
package enum ValueSuggestion: Sendable, Equatable {
    case none
    case file
    /// Model files first, other files where there are none.
    case model
    case folder
    case words([String])

    /// Whether the value names a file or a folder. No file has an empty name.
    var isPath: Bool { self == .file || self == .model || self == .folder }
}

/// One option of a command. Parsing, help and completions all come from it.
package struct CommandOption<Command>: Sendable {
    /// The name without dashes.
    package let name: String
    /// A single letter with the same meaning, used with one dash.
    package let letter: Character?
    /// The text for the value in the help; nil for an option without a value.
    package let placeholder: String?
    package let help: String
    package let suggestion: ValueSuggestion
    /// Stores the value (empty for an option without one) in the command.
    let set: @Sendable (inout Command, String) throws(LeafError) -> Void

    private init(
        name: String, letter: Character?, placeholder: String?, help: String, suggestion: ValueSuggestion,
        set: @escaping @Sendable (inout Command, String) throws(LeafError) -> Void
    ) {
        self.name = name
        self.letter = letter
        self.placeholder = placeholder
        self.help = help
        self.suggestion = suggestion
        self.set = set
    }

    /// Whether the value is a text for the model, and no path or number.
    var isText: Bool { placeholder == "TEXT" || placeholder == "STRING" }

    /// An option without a value.
    package static func flag(
        _ name: String, letter: Character? = nil, _ help: String, _ path: any WritableKeyPath<Command, Bool> & Sendable
    ) -> Self {
        Self(name: name, letter: letter, placeholder: nil, help: help, suggestion: .none) { command, _ in
            command[keyPath: path] = true
        }
    }

    /// An option with a value. If it is given twice, the last value counts.
    package static func value<Value: ArgumentValue>(
        _ name: String, letter: Character? = nil, _ placeholder: String, _ help: String,
        _ path: any WritableKeyPath<Command, Value> & Sendable, suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, letter: letter, placeholder: placeholder, help: help, suggestion: suggest) {
            command, text throws(LeafError) in
            command[keyPath: path] = try parse(text, name)
        }
    }

    /// An option with a value that may be missing.
    package static func value<Value: ArgumentValue>(
        _ name: String, letter: Character? = nil, _ placeholder: String, _ help: String,
        _ path: any WritableKeyPath<Command, Value?> & Sendable, suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, letter: letter, placeholder: placeholder, help: help, suggestion: suggest) {
            command, text throws(LeafError) in
            command[keyPath: path] = try parse(text, name)
        }
    }

    /// An option with a number.
    package static func number<Number: ArgumentNumber>(
        _ name: String, letter: Character? = nil, _ placeholder: String, _ range: NumberRange<Number>, _ help: String,
        _ path: any WritableKeyPath<Command, Number> & Sendable
    ) -> Self {
        Self(name: name, letter: letter, placeholder: placeholder, help: help, suggestion: .none) {
            command, text throws(LeafError) in
            command[keyPath: path] = try parse(text, name, range)
        }
    }

    /// An option with a number that may be missing.
    package static func number<Number: ArgumentNumber>(
        _ name: String, letter: Character? = nil, _ placeholder: String, _ range: NumberRange<Number>, _ help: String,
        _ path: any WritableKeyPath<Command, Number?> & Sendable
    ) -> Self {
        Self(name: name, letter: letter, placeholder: placeholder, help: help, suggestion: .none) {
            command, text throws(LeafError) in
            command[keyPath: path] = try parse(text, name, range)
        }
    }

    /// An option that may be given several times.
    package static func values<Value: ArgumentValue>(
        _ name: String, _ placeholder: String, _ help: String,
        _ path: any WritableKeyPath<Command, [Value]> & Sendable, suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, letter: nil, placeholder: placeholder, help: help, suggestion: suggest) {
            command, text throws(LeafError) in
            command[keyPath: path].append(try parse(text, name))
        }
    }

    /// Makes an option of a command from an option of a part of that command.
    package func lifted<Whole>(
        _ path: any WritableKeyPath<Whole, Command> & Sendable
    ) -> CommandOption<Whole> {
        CommandOption<Whole>(
            name: name, letter: letter, placeholder: placeholder, help: help, suggestion: suggestion
        ) { whole, text throws(LeafError) in
            try set(&whole[keyPath: path], text)
        }
    }

    /// The same option, which also notes by its name that it was given.
    package func noting(_ given: any WritableKeyPath<Command, Set<String>> & Sendable) -> Self {
        Self(
            name: name, letter: letter, placeholder: placeholder, help: help, suggestion: suggestion
        ) { command, text throws(LeafError) in
            try set(&command, text)
            command[keyPath: given].insert(name)
        }
    }

    /// - Parameters:
    ///   - isTaken: whether the option takes a value that can be read.
    ///   - expectation: the description of those that it takes.
    private static func parse<Value: ArgumentValue>(
        _ text: String, _ name: String, isTaken: (Value) -> Bool = { _ in true }, expectation: String? = nil
    ) throws(LeafError) -> Value {
        // Where space begins or ends it, people see it only between quotes.
        let isBare = text.first?.isWhitespace != true && text.last?.isWhitespace != true
        let typed = "--\(name) " + (isBare ? text : "'\(text)'")
        guard let value = Value(argument: text), isTaken(value) else {
            let fault = Value.fault(in: text) ?? "is not \(expectation ?? Value.expectation)"
            throw LeafError(.usage, "\(typed) \(fault)")
        }
        if let doubt = Value.doubt(about: text) { throw LeafError(.usage, "\(typed) \(doubt)") }
        return value
    }

    private static func parse<Number: ArgumentNumber>(
        _ text: String, _ name: String, _ range: NumberRange<Number>
    ) throws(LeafError) -> Number {
        try parse(text, name, isTaken: range.contains, expectation: range.expectation)
    }
}

/// An argument of a command whose meaning follows from its position.
package struct CommandArgument<Command>: Sendable {
    package let name: String
    package let help: String
    package let isRequired: Bool
    package let suggestion: ValueSuggestion
    let set: @Sendable (inout Command, String) -> Void

    /// Whether it is a text for the model, and no path or number.
    var isText: Bool { letter == "p" }

    /// The letter by which other programs take the same thing: `-m MODEL -p PROMPT`.
    var letter: Character? {
        switch name {
        case "MODEL": "m"
        case "PROMPT", "TEXT": "p"
        default: nil
        }
    }

    package static func required(
        _ name: String, _ help: String, _ path: any WritableKeyPath<Command, String> & Sendable,
        suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, help: help, isRequired: true, suggestion: suggest) { $0[keyPath: path] = $1 }
    }

    package static func optional(
        _ name: String, _ help: String, _ path: any WritableKeyPath<Command, String?> & Sendable,
        suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, help: help, isRequired: false, suggestion: suggest) { $0[keyPath: path] = $1 }
    }
}
