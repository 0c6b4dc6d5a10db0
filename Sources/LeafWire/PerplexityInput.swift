import Glibc
package import LeafFormat
package import LeafGeneration
package import LeafSystem
package import LeafTokenizer
package import Leafcutter

/// A text to be predicted: `{"id","text" or "input_ids","context","stride","prefix"}`, with `task`, `segment`, `delta`
/// and `prompt_embedding`. The ids are without `<s>`.
package struct PerplexityInput: Sendable {
    /// What holds for texts that say nothing about it.
    package struct Defaults: Sendable {
        /// Soft prompt, segment and adapter.
        package var form: GenerationOptions
        package var context: Int
        package var stride: Int?
        package var prefix: Int

        package init(
            form: GenerationOptions = GenerationOptions(), context: Int = 512, stride: Int? = nil, prefix: Int = 1
        ) {
            (self.form, self.context, self.stride, self.prefix) = (form, context, stride, prefix)
        }
    }

    package var id: RequestID?
    package var text: Prompt
    package var settings: Defaults

    private static let names = ["id", "text", "input_ids", "context", "stride", "prefix"] + OptionFields.form

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(json: ArraySlice<UInt8>, _ defaults: Defaults = Defaults()) throws(LeafError) {
        var settings = defaults
        var id: RequestID?
        var text: String?
        var ids: [Int32]?
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.perplexity.check(&reader)
            case "id": id = try RequestID(&reader)
            case "text": text = try reader.text()
            case "input_ids": ids = try reader.integers()
            case "context": settings.context = try reader.integer()
            case "stride": settings.stride = try reader.integer(Int.self)
            case "prefix": settings.prefix = try reader.integer()
            case _ where OptionFields.form.contains(name):
                try OptionFields.read(name, &reader, into: &settings.form, known: OptionFields.form)
            default: throw JSONReader.unknown(name, among: Self.names)
            }
        }
        self.text = try Prompt(text: text, "text", ids: ids)
        (self.id, self.settings) = (id, settings)
    }

    /// The text's ids, without unknown ones.
    ///
    /// - Parameter unknown: takes the characters that the vocabulary lacks.
    /// - Throws: `.usage` if there is no vocabulary.
    package func ids(for file: ModelFile, noting unknown: inout UnknownCharacters) throws(LeafError) -> [Int32] {
        switch text {
        case .ids(let given): given
        case .text(let text): try file.requireTokenizer().knownIDs(of: text, noting: &unknown)
        }
    }

    /// The windows that are scored, and how many of their tokens count for what.
    ///
    /// - Throws: `.usage` for what makes no sense with this model.
    package func windows(for file: ModelFile) throws(LeafError) -> [TextWindows.Window] {
        var unknown = UnknownCharacters()
        let ids = try ids(for: file, noting: &unknown)
        var windows = try TextWindows(context: settings.context, prefix: settings.prefix, stride: settings.stride)
        let full = windows.append(ids)
        return full + (try windows.finish())
    }
}

extension TextWindows.Window {
    /// - Parameter form: soft prompt, segment and adapter.
    /// - Throws: `.usage` for what makes no sense with this model.
    package func request(for file: ModelFile, _ form: GenerationOptions) throws(LeafError) -> ScoreRequest {
        ScoreRequest(context: try file.rows(of: .ids(prefix), form), target: target)
    }

    /// The log-probability of the tokens that no window before has scored.
    package func logprob(_ scores: [TokenScore]) -> Double {
        scores.dropFirst(alreadyScored).reduce(0) { $0 + $1.logprob }
    }

    /// The tokens that no window before has scored.
    package var counted: ArraySlice<Int32> { target.dropFirst(alreadyScored) }
}

/// How well a text was predicted: the sums over its windows, added in their order.
package struct PerplexityReport: Sendable {
    /// The sum over all counted tokens.
    package private(set) var logprob = 0.0
    package private(set) var tokens = 0
    package private(set) var characters = 0
    package private(set) var windows = 0
    /// Tokens of a window at most, `<s>` included.
    package let context: Int
    /// What the vocabulary lacks of the text.
    package var unknown: UnknownCharacters

    package init(context: Int, unknown: UnknownCharacters = UnknownCharacters()) {
        (self.context, self.unknown) = (context, unknown)
    }

    /// - Parameter tokenizer: nil counts no characters.
    package mutating func add(_ window: TextWindows.Window, _ scores: [TokenScore], _ tokenizer: Tokenizer?) {
        logprob += window.logprob(scores)
        tokens += window.counted.count
        // A token is whole scalars, so that texts may be counted one by one.
        characters += window.counted.reduce(0) { $0 + (tokenizer?.token($1)?.unicodeScalars.count ?? 0) }
        windows += 1
    }

    package var perToken: Double { exp(-logprob / Double(tokens)) }
    package var perCharacter: Double { exp(-logprob / Double(max(1, characters))) }

    /// `{"perplexity","perplexity_per_character","logprob","tokens","characters","windows","context"}`
    package var fields: [(key: String, value: JSON)] {
        [
            ("perplexity", .number(perToken)), ("perplexity_per_character", .number(perCharacter)),
            ("logprob", .number(logprob)), ("tokens", .integer(tokens)), ("characters", .integer(characters)),
            ("windows", .integer(windows)), ("context", .integer(context)),
        ] + unknown.fields
    }
}
