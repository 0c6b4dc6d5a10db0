import LeafFormat

/// What a shell offers in place of a value.
public enum ValueSuggestion: Sendable, Equatable {
    case none
    case file
    case folder
    case words([String])

    /// Whether the value names a file or a folder, which nothing is called by an empty word.
    var isPath: Bool { self == .file || self == .folder }
}

/// One option of a command: parsing, help and completions all come from it.
public struct CommandOption<Command>: Sendable {
    /// Without the dashes.
    public let name: String
    /// A single letter that means the same, after one dash.
    public let letter: Character?
    /// Stands for the value in the help; nil for an option without one.
    public let placeholder: String?
    public let help: String
    public let suggestion: ValueSuggestion
    /// Puts the value (empty for an option without one) into the command.
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

    /// An option without a value.
    public static func flag(
        _ name: String, letter: Character? = nil, _ help: String, _ path: any WritableKeyPath<Command, Bool> & Sendable
    ) -> Self {
        Self(name: name, letter: letter, placeholder: nil, help: help, suggestion: .none) { command, _ in
            command[keyPath: path] = true
        }
    }

    /// An option with a value; given twice, the last one counts.
    public static func value<Value: ArgumentValue>(
        _ name: String, letter: Character? = nil, _ placeholder: String, _ help: String,
        _ path: any WritableKeyPath<Command, Value> & Sendable, suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, letter: letter, placeholder: placeholder, help: help, suggestion: suggest) {
            command, text throws(LeafError) in
            command[keyPath: path] = try parse(text, name)
        }
    }

    /// An option with a value that may be missing.
    public static func value<Value: ArgumentValue>(
        _ name: String, letter: Character? = nil, _ placeholder: String, _ help: String,
        _ path: any WritableKeyPath<Command, Value?> & Sendable, suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, letter: letter, placeholder: placeholder, help: help, suggestion: suggest) {
            command, text throws(LeafError) in
            command[keyPath: path] = try parse(text, name)
        }
    }

    /// An option that may be given several times.
    public static func values<Value: ArgumentValue>(
        _ name: String, _ placeholder: String, _ help: String,
        _ path: any WritableKeyPath<Command, [Value]> & Sendable, suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, letter: nil, placeholder: placeholder, help: help, suggestion: suggest) {
            command, text throws(LeafError) in
            command[keyPath: path].append(try parse(text, name))
        }
    }

    /// An option of a part of a command, for the command.
    public func lifted<Whole>(
        _ path: any WritableKeyPath<Whole, Command> & Sendable
    ) -> CommandOption<Whole> {
        CommandOption<Whole>(
            name: name, letter: letter, placeholder: placeholder, help: help, suggestion: suggestion
        ) { whole, text throws(LeafError) in
            try set(&whole[keyPath: path], text)
        }
    }

    private static func parse<Value: ArgumentValue>(_ text: String, _ name: String) throws(LeafError) -> Value {
        guard let value = Value(argument: text) else {
            throw LeafError(.usage, "--\(name) \(text) is not \(Value.expectation)")
        }
        return value
    }
}

/// One argument of a command that has its meaning by its place.
public struct CommandArgument<Command>: Sendable {
    public let name: String
    public let help: String
    public let isRequired: Bool
    public let suggestion: ValueSuggestion
    let set: @Sendable (inout Command, String) -> Void

    public static func required(
        _ name: String, _ help: String, _ path: any WritableKeyPath<Command, String> & Sendable,
        suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, help: help, isRequired: true, suggestion: suggest) { $0[keyPath: path] = $1 }
    }

    public static func optional(
        _ name: String, _ help: String, _ path: any WritableKeyPath<Command, String?> & Sendable,
        suggest: ValueSuggestion = .none
    ) -> Self {
        Self(name: name, help: help, isRequired: false, suggestion: suggest) { $0[keyPath: path] = $1 }
    }
}
