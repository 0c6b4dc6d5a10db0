import LeafFormat
import LeafGeneration
import LeafSystem
import LeafTokenizer
package import Leafcutter

/// The fields that bodies of OpenAI's text routes share: its own, and our options by their names in JSON. What is
/// missing is as in our own requests.
///
/// Fields that nobody knows are passed, as OpenAI's clients send many; those that would change the answer are refused.
struct OpenAIFields {
    private(set) var model: String?
    private(set) var form = OpenAIForm()
    private let door: RequestDoor
    private var choices: Int
    private var options: GenerationOptions
    private var bestOf: Int?
    private var isGreedy: Bool?
    private var beams: Int?
    /// Names of our options that were given.
    private var given: Set<String> = []

    private static let options = [
        "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "repetition_penalty", "repetition_window",
        "frequency_penalty", "presence_penalty", "no_repeat_ngram", "logit_bias", "allow_empty", "eos_id", "stop",
        "length_penalty", "early_stopping", "task", "segment", "delta", "prompt_embedding",
    ]
    /// Stop strings over HTTP at most, and tokens with a bias.
    private static let mostStops = 16
    private static let mostBiases = 1024

    init(_ defaults: GenerateInput.Defaults, _ door: RequestDoor) {
        (options, choices, self.door) = (defaults.options, defaults.samples, door)
    }

    /// Reads one field, all of it.
    ///
    /// - Throws: `.usage` for a value that makes no sense, or asks for what there is not.
    mutating func read(_ name: String, _ reader: inout JSONReader) throws(LeafError) {
        switch name {
        case "model": model = try reader.text()
        case "n": choices = try reader.integer()
        case "best_of": bestOf = try reader.integer(Int.self)
        case "greedy": isGreedy = try reader.bool()
        case "beams": beams = try reader.integer(Int.self)
        case _ where Self.options.contains(name):
            try OptionFields.read(name, &reader, into: &options, known: Self.options)
            given.insert(name)
        default:
            switch door {
            case .line: try readForJob(name, &reader)
            case .server: try readForServer(name, &reader)
            }
        }
    }

    private func readForJob(_ name: String, _ reader: inout JSONReader) throws(LeafError) {
        switch name {
        case "echo":
            guard try !reader.bool() else { throw reader.wrong("is true, which is not answered here; leave it out") }
        case "suffix":
            guard try reader.text().isEmpty else {
                throw reader.wrong("is not answered here; a request of the kind fill has blanks")
            }
        default: try UnknownFields.drop(name, &reader)
        }
    }

    private mutating func readForServer(_ name: String, _ reader: inout JSONReader) throws(LeafError) {
        switch name {
        case "stream": form.isStream = try reader.bool()
        case "stream_options":
            try reader.fields { name, reader throws(LeafError) in
                if name == "include_usage" { form.includesUsage = try reader.bool() } else { try reader.skip() }
            }
        case "echo": form.echoesPrompt = try reader.bool()
        case "suffix":
            let suffix = try reader.text()
            form.suffix = suffix.isEmpty ? nil : suffix
        case "return_token_ids": form.returnsTokenIDs = try reader.bool()
        default: try form.ignored.pass(name, &reader)
        }
    }

    mutating func set(maxTokens: Int) { options.maxTokens = maxTokens }

    /// - Parameter field: that says how many.
    /// - Throws: `.usage` for more than there may be.
    mutating func set(logprobs: Int, by field: String) throws(LeafError) {
        guard (0...OpenAILogprobs.most).contains(logprobs) else {
            throw LeafError.field(field, "is \(logprobs), not between 0 and \(OpenAILogprobs.most)")
        }
        options.logprobs = logprobs
    }

    /// Everything that was read, once all of it was.
    ///
    /// - Throws: `.usage` for fields that contradict each other.
    func finished() throws(LeafError) -> OpenAIGeneration {
        var options = options
        options.decoding = try GenerationOptions.Decoding(
            greedy: isGreedy, sample: nil, beams: beams, default: options.decoding)
        options = options.withGreedyAtZero
        if form.suffix != nil {
            // What was trained on blanks, as in the command.
            if !given.contains("task") { options.task = GenerationOptions.filling.task }
            if !given.contains("segment") { options.segment = GenerationOptions.filling.segment }
        }
        let samples = bestOf ?? choices
        switch door {
        case .line:
            guard samples == choices else {
                throw LeafError.field("best_of", "is \(samples), where 'n' is \(choices); all texts are given")
            }
        case .server: try check(options, samples: samples)
        }
        let isEmpty = door == .server && options.maxTokens == 0
        if isEmpty { options.maxTokens = 1 }
        return OpenAIGeneration(options: options, samples: samples, choices: choices, isEmpty: isEmpty)
    }

    private func check(_ options: GenerationOptions, samples: Int) throws(LeafError) {
        guard choices >= 1 else { throw LeafError.field("n", "is \(choices), where at least 1 is wanted") }
        guard options.maxTokens != 0 || (form.echoesPrompt && form.suffix == nil) else {
            throw LeafError.field("max_tokens", "is 0, which makes sense where 'echo' is true and nothing else")
        }
        guard options.stop.count <= Self.mostStops else {
            throw LeafError.field("stop", "holds \(options.stop.count) texts, more than \(Self.mostStops)")
        }
        guard options.logitBias.count <= Self.mostBiases else {
            throw LeafError.field("logit_bias", "names more than \(Self.mostBiases) tokens")
        }
        guard samples != choices else { return }
        guard samples > choices else {
            throw LeafError.field("best_of", "is \(samples), fewer than 'n', which is \(choices)")
        }
        guard samples <= GenerationOptions.mostSequences else {
            throw LeafError.field("best_of", "is \(samples), more than \(GenerationOptions.mostSequences)")
        }
        guard !form.isStream else {
            throw LeafError.field("best_of", "chooses among whole texts, so 'stream' cannot be true with it")
        }
        if case .beams = options.decoding {
            throw LeafError.field("best_of", "chooses among samples; 'beams' gives the best texts already")
        }
    }
}

/// What the fields of a body say about its texts.
struct OpenAIGeneration {
    let options: GenerationOptions
    /// Texts of each prompt, and how many of them are given.
    let samples: Int
    let choices: Int
    /// Whether nothing is generated: the prompt alone is wanted.
    let isEmpty: Bool
}

/// A text as a body gives it.
package struct OpenAIText: Sendable, Equatable {
    package let prompt: Prompt
    /// Whether `<s>` is no part of what was given.
    package let hidesBegin: Bool
}

/// One text or several, as texts or as ids: what a body may hold where OpenAI says `prompt` or `input`.
enum OpenAITexts {
    /// Texts of one request at most.
    static let most = 256

    /// - Throws: `.usage` for none, too many, or what is no text.
    static func read(_ reader: inout JSONReader) throws(LeafError) -> [OpenAIText] {
        let names = "a text, or a list of texts or ids,"
        if try reader.kind(among: [.text, .list], names) == .text { return [OpenAIText(try reader.text())] }
        var (texts, ids): ([OpenAIText], [Int32]) = ([], [])
        try reader.list { reader throws(LeafError) in
            switch try reader.kind(among: [.text, .list, .number], "a text, a list of ids or an id") {
            case .text: texts.append(OpenAIText(try reader.text()))
            case .list:
                let list: [Int32] = try reader.integers()
                guard !list.isEmpty else { throw reader.wrong("holds an empty list; give at least one id") }
                texts.append(OpenAIText(ids: list))
            default: ids.append(try reader.integer())
            }
            guard texts.count <= most else { throw reader.wrong("holds more than \(most) texts; use more requests") }
            guard ids.isEmpty || texts.isEmpty else { throw reader.wrong("mixes ids with texts; give one of them") }
        }
        if !ids.isEmpty { texts.append(OpenAIText(ids: ids)) }
        guard !texts.isEmpty else { throw reader.wrong("is an empty list; give at least one text") }
        return texts
    }
}

extension OpenAIText {
    fileprivate init(_ text: String) { self.init(prompt: .text(text), hidesBegin: true) }

    /// OpenAI's clients know no `<s>`.
    fileprivate init(ids: [Int32]) {
        let hasBegin = ids.first == Tokenizer.bosID
        self.init(prompt: .ids(hasBegin ? ids : [Tokenizer.bosID] + ids), hidesBegin: !hasBegin)
    }
}

/// What stands around the answers of one request.
package struct OpenAIEnvelope: Sendable {
    /// Names the answer, behind a prefix for its kind.
    package var id: String
    /// Seconds since 1970; 0 where an answer must not depend on when it was given.
    package var created: Int
    /// As the request called it.
    package var model: String

    /// The name of a model where nobody gave one.
    package static let usualModel = "cpm-ant"

    package init(id: String, created: Int, model: String?) {
        (self.id, self.created, self.model) = (id, created, model ?? Self.usualModel)
    }
}

extension JSON {
    package static func usage(prompt: Int, completion: Int) -> JSON {
        [
            "prompt_tokens": .integer(prompt), "completion_tokens": .integer(completion),
            "total_tokens": .integer(prompt + completion),
        ]
    }
}
