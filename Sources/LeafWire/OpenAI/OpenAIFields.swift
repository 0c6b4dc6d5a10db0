import LeafFormat
import LeafGeneration
import LeafSystem
import LeafTokenizer
import Leafcutter

/// The fields that bodies of OpenAI's text routes share: its own, and our options by their names in JSON. What is
/// missing is as in our own requests.
///
/// Fields that nobody knows are passed, as OpenAI's clients send many; those that would change the answer are refused.
struct OpenAIFields {
    private(set) var model: String?
    private(set) var samples: Int
    private(set) var options: GenerationOptions
    private var bestOf: Int?
    private var isGreedy: Bool?
    private var beams: Int?

    private static let options = [
        "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "repetition_penalty", "repetition_window",
        "frequency_penalty", "presence_penalty", "no_repeat_ngram", "logit_bias", "allow_empty", "eos_id", "stop",
        "length_penalty", "early_stopping", "task", "segment", "delta", "prompt_embedding",
    ]
    /// Log-probabilities of other tokens at most, as with OpenAI.
    static let mostLogprobs = 20

    init(_ defaults: GenerateInput.Defaults) { (options, samples) = (defaults.options, defaults.samples) }

    /// Reads one field, all of it.
    ///
    /// - Throws: `.usage` for a value that makes no sense, or asks for what there is not.
    mutating func read(_ name: String, _ reader: inout JSONReader) throws(LeafError) {
        switch name {
        case "model": model = try reader.text()
        case "n": samples = try reader.integer()
        case "best_of": bestOf = try reader.integer(Int.self)
        case "greedy": isGreedy = try reader.bool()
        case "beams": beams = try reader.integer(Int.self)
        case "stream":
            guard try !reader.bool() else { throw reader.wrong("is true, where answers come whole") }
        case "echo":
            guard try !reader.bool() else { throw reader.wrong("is true, which is not answered here; leave it out") }
        case "suffix":
            guard try reader.text().isEmpty else {
                throw reader.wrong("is not answered here; a request of the kind fill has blanks")
            }
        case "tools", "functions":
            var isEmpty = true
            try reader.list { reader throws(LeafError) in
                isEmpty = false
                try reader.skip()
            }
            guard isEmpty else { throw reader.wrong("holds some, and CPM-Ant calls none; leave it out") }
        case "response_format":
            try reader.fields { name, reader throws(LeafError) in
                guard name == "type" else { return try reader.skip() }
                guard try reader.text() == "text" else { throw reader.wrong("is not text, the one format there is") }
            }
        case _ where Self.options.contains(name):
            try OptionFields.read(name, &reader, into: &options, known: Self.options)
        default: try reader.skip()
        }
    }

    mutating func set(maxTokens: Int) { options.maxTokens = maxTokens }

    /// - Throws: `.usage` for more than there may be.
    mutating func set(logprobs: Int) throws(LeafError) {
        guard (0...Self.mostLogprobs).contains(logprobs) else {
            throw LeafError(
                .usage, "\(logprobs) log-probabilities of a token are not between 0 and \(Self.mostLogprobs)")
        }
        options.logprobs = logprobs
    }

    /// Everything that was read, once all of it was.
    ///
    /// - Throws: `.usage` for fields that contradict each other.
    func finished() throws(LeafError) -> GenerationOptions {
        guard bestOf == nil || bestOf == samples else {
            throw LeafError(.usage, "'best_of' is \(bestOf ?? 0), where 'n' is \(samples); all texts are given")
        }
        var options = options
        options.decoding = try GenerationOptions.Decoding(
            greedy: isGreedy, sample: nil, beams: beams, default: options.decoding)
        return options.withGreedyAtZero
    }
}

/// One text or several, as texts or as ids: what a body may hold where OpenAI says `prompt` or `input`.
enum OpenAITexts {
    /// Texts of one request at most.
    static let most = 256

    /// - Throws: `.usage` for none, too many, or what is no text.
    static func read(_ reader: inout JSONReader) throws(LeafError) -> [Prompt] {
        if try reader.kind() == .text { return [.text(try reader.text())] }
        var (texts, ids): ([Prompt], [Int32]) = ([], [])
        try reader.list { reader throws(LeafError) in
            switch try reader.kind() {
            case .text: texts.append(.text(try reader.text()))
            case .list: texts.append(withBegin(try reader.integers()))
            default: ids.append(try reader.integer())
            }
            guard texts.count <= most else { throw reader.wrong("holds more than \(most) texts; use more requests") }
            guard ids.isEmpty || texts.isEmpty else { throw reader.wrong("mixes ids with texts; give one of them") }
        }
        if !ids.isEmpty { texts.append(withBegin(ids)) }
        guard !texts.isEmpty else { throw reader.wrong("is an empty list; give at least one text") }
        return texts
    }

    /// OpenAI's clients know no `<s>`.
    private static func withBegin(_ ids: [Int32]) -> Prompt {
        .ids(ids.first == Tokenizer.bosID ? ids : [Tokenizer.bosID] + ids)
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
    static func usage(prompt: Int, completion: Int) -> JSON {
        [
            "prompt_tokens": .integer(prompt), "completion_tokens": .integer(completion),
            "total_tokens": .integer(prompt + completion),
        ]
    }
}
