import LeafFormat
package import LeafGeneration
package import LeafSystem

/// The options of generation by their names in JSON.
enum OptionFields {
    /// How a token is chosen.
    static let choice = ["greedy", "beams"]
    static let names = [
        "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "repetition_penalty", "repetition_window",
        "frequency_penalty", "presence_penalty", "no_repeat_ngram", "logit_bias", "allow_empty", "eos_id", "stop",
        "length_penalty", "early_stopping", "compat", "task", "segment", "delta", "prompt_embedding", "logprobs",
    ]
    /// Soft prompt, segment and adapter: what every kind of request has.
    static let form = ["task", "segment", "delta", "prompt_embedding"]

    /// Reads one option.
    ///
    /// - Parameter known: the names that the kind of request has.
    /// - Throws: `.usage` for a name that is not among them, or a value that makes no sense.
    static func read(
        _ name: String, _ reader: inout JSONReader, into options: inout GenerationOptions, known: [String]
    ) throws(LeafError) {
        guard known.contains(name), try read(name, &reader, &options) else {
            throw JSONReader.unknown(name, among: known)
        }
    }

    private static func read(
        _ name: String, _ reader: inout JSONReader, _ options: inout GenerationOptions
    ) throws(LeafError) -> Bool {
        switch name {
        case "max_tokens": options.maxTokens = try reader.integer()
        case "temperature": options.temperature = try reader.number()
        case "top_p": options.topP = try reader.number()
        case "top_k": options.topK = try reader.integer()
        case "min_p": options.minP = try reader.number()
        case "seed": options.seed = try reader.integer(UInt64.self)
        case "repetition_penalty": options.repetitionPenalty = try reader.number()
        case "repetition_window": options.repetitionWindow = try reader.integer(Int.self)
        case "frequency_penalty": options.frequencyPenalty = try reader.number()
        case "presence_penalty": options.presencePenalty = try reader.number()
        case "no_repeat_ngram": options.noRepeatNgram = try reader.integer()
        case "logit_bias": options.logitBias = try biases(&reader)
        case "allow_empty": options.allowEmpty = try reader.bool()
        case "eos_id": options.eosID = try reader.integer()
        case "stop":
            options.stop =
                try reader.kind(among: [.text, .list], "a text or a list of texts") == .text
                ? [try reader.text()] : try reader.texts()
        case "length_penalty": options.lengthPenalty = try reader.number()
        case "early_stopping": options.earlyStopping = try reader.bool()
        case "compat": options.compatibility = try compatibility(&reader)
        case "task": options.task = try reader.integer()
        case "segment": options.segment = try reader.integer()
        case "delta": options.delta = try reader.text()
        case "prompt_embedding": options.promptEmbedding = try reader.text()
        case "logprobs": options.logprobs = try reader.integer(Int.self)
        default: return false
        }
        return true
    }

    /// Biases as JSON has them, `{"103": -5}`: keys are strings.
    private static func biases(_ reader: inout JSONReader) throws(LeafError) -> [Int32: Float] {
        var biases: [Int32: Float] = [:]
        try reader.object { name, reader throws(LeafError) in
            guard let id = Int32(name) else {
                throw LeafError.field("logit_bias", "names '\(name.prefix(40))', which is no token id")
            }
            biases[id] = try reader.number()
        }
        return biases
    }

    private static func compatibility(_ reader: inout JSONReader) throws(LeafError) -> Compatibility {
        let name = try reader.text()
        if let known = Compatibility(rawValue: name) { return known }
        let names = Compatibility.allCases.map(\.rawValue).joined(separator: ", ")
        throw LeafError.field("compat", "is '\(name.prefix(40))', not one of \(names)")
    }
}

extension GenerationOptions {
    /// A temperature of 0 means the most likely token each time.
    package var withGreedyAtZero: GenerationOptions {
        guard temperature == 0 else { return self }
        var options = self
        options.temperature = GenerationOptions().temperature
        if decoding == .sampling { options.decoding = .greedy }
        return options
    }
}

extension GenerationOptions.Decoding {
    /// Chooses between greedy, sampling and beams; takes `other` if none is given.
    ///
    /// - Throws: `.usage` if more than one is given.
    package init(greedy: Bool?, sample: Bool?, beams: Int?, default other: Self) throws(LeafError) {
        let chosen: [Self] =
            (greedy == true ? [.greedy] : []) + (sample == true ? [.sampling] : []) + (beams.map { [.beams($0)] } ?? [])
        guard chosen.count <= 1 else {
            throw LeafError(.usage, "give one of greedy, beams, and options of sampling, not several")
        }
        self = chosen.first ?? other
    }
}
