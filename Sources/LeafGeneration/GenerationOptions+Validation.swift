public import CPMAntShape
public import LeafSystem

extension GenerationOptions {
    package static let temperatures: ClosedRange<Float> = 0.001...1000
    package static let penalties: ClosedRange<Float> = 1...1000
    /// Tokens of an answer.
    package static let lengths = 1...10_000_000
    package static let logprobCounts = 0...1000
    package static let countPenalties: ClosedRange<Float> = -100...100
    private static let biases: ClosedRange<Float> = -1000...1000
    package static let lengthPenalties: ClosedRange<Float> = -10...10
    package static let beamCounts = 1...256

    /// - Throws: `.usage` for numbers that are invalid for any model.
    public func validate() throws(LeafError) {
        try require(
            Self.lengths.contains(maxTokens), "max_tokens",
            "max-tokens \(maxTokens) is not between 1 and \(Self.lengths.upperBound)")
        try require(
            Self.temperatures.contains(temperature),
            "temperature",
            "temperature \(temperature) is not between 0.001 and 1000; for no randomness decode greedily")
        try require(
            (0...1).contains(topP), "top_p",
            "top-p \(topP) is not between 0 and 1; 0.9 is usual and 0 turns it off")
        try require(topK >= 0, "top_k", "top-k \(topK) is negative; 0 turns it off")
        try require((0...1).contains(minP), "min_p", "min-p \(minP) is not between 0 and 1; 0 turns it off")
        try require(
            Self.penalties.contains(repetitionPenalty),
            "repetition_penalty",
            "repetition-penalty \(repetitionPenalty) is not between 1 (off) and 1000; 1.2 is usual")
        if let repetitionWindow {
            try require(
                repetitionWindow > 0,
                "repetition_window",
                "repetition-window \(repetitionWindow) is not positive; leave it out for all tokens")
        }
        for (name, field, penalty) in [
            ("frequency-penalty", "frequency_penalty", frequencyPenalty),
            ("presence-penalty", "presence_penalty", presencePenalty),
        ] {
            try require(
                Self.countPenalties.contains(penalty), field,
                "\(name) \(penalty) is not between -100 and 100; 0 turns it off, 0.1 to 1 is usual")
        }
        try require(
            noRepeatNgram >= 0, "no_repeat_ngram",
            "no-repeat-ngram \(noRepeatNgram) is negative; 0 turns it off")
        for (id, bias) in logitBias {
            try require(id >= 0, "logit_bias", "logit-bias names the token \(id), which is negative")
            try require(
                Self.biases.contains(bias), "logit_bias",
                "logit-bias \(bias) of token \(id) is not between -1000 and 1000")
        }
        try require(
            Self.lengthPenalties.contains(lengthPenalty),
            "length_penalty", "length-penalty \(lengthPenalty) is not between -10 and 10; 1 is usual")
        if case .beams(let width) = decoding {
            try require(
                Self.beamCounts.contains(width), "beams",
                "beams \(width) is not between 1 and 256; CPM-Live's default is 3")
            try require(
                compatibility != .transformersUncached, "compat",
                "compat transformers-uncached has no beams; take transformers")
            try require(logprobs == nil, "beams", "beams do not keep logprobs; ask for one of the two")
        }
        try require(eosID >= 0, "eos_id", "eos-id \(eosID) is negative; CPM-Ant's is 7")
        try require(
            stop.count <= Self.mostStops && stop.reduce(0) { $0 +| $1.utf8.count } <= Self.mostStopBytes,
            "stop",
            "\(stop.count) stop strings are too many or too long; give at most \(Self.mostStops), "
                + "of \(Self.mostStopBytes) bytes together")
        try require(
            !stop.contains(""), "stop",
            "an empty stop string ends every text at once; give at least one character")
        if let logprobs {
            try require(
                Self.logprobCounts.contains(logprobs), "logprobs",
                "logprobs \(logprobs) is not between 0 and 1000")
        }
    }

    /// - Throws: `.usage` for options that are invalid for this model, or for any.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try validate()
        try require(
            eosID < configuration.vocabSize,
            "eos_id", "eos-id \(eosID) is not in the vocabulary; ids go up to \(configuration.vocabSize - 1)")
        if let id = logitBias.keys.first(where: { $0 >= configuration.vocabSize }) {
            throw LeafError(
                .usage,
                "logit-bias names the token \(id), which is not in the vocabulary; "
                    + "ids go up to \(configuration.vocabSize - 1)",
                field: "logit_bias")
        }
        if case .beams(let width) = decoding {
            try require(
                2 * width <= configuration.vocabSize,
                "beams",
                "beams \(width) are more than half of the \(configuration.vocabSize) tokens of this vocabulary")
        }
        try require(
            (0..<configuration.promptTypes).contains(task),
            "task", "task \(task) is not in the model; its soft prompts are 0 to \(configuration.promptTypes - 1)")
        try require(
            (0..<configuration.segmentTypes).contains(segment),
            "segment",
            "segment \(segment) is not in the model; its segments are 0 to \(configuration.segmentTypes - 1)")
    }

    /// - Parameter field: that the sentence is about, by its name in JSON.
    private func require(
        _ condition: Bool, _ field: String, _ sentence: @autoclosure () -> String
    ) throws(LeafError) {
        guard condition else { throw LeafError(.usage, sentence(), field: field) }
    }
}
