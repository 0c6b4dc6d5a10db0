public import LeafFormat

/// Why a text ended.
public enum FinishReason: String, Sendable, Codable {
    /// The model ended it, or a stop string did.
    case stop
    /// It has as many tokens as were asked for.
    case length
    /// Somebody stopped it.
    case interrupted
}

/// Chooses the tokens of one greedy or random sequence from the rows of logits that the model computes for it.
///
/// A value: a copy goes on by itself. What it chooses depends on the logits, the options, the seed and the sample's
/// number, and on nothing else.
public struct SequenceDecoder: Sendable {
    /// A token that was chosen.
    public struct Token: Sendable, Equatable {
        public let id: Int32
        /// There if the options ask for them.
        public let logprobs: TokenLogprobs?
    }

    package private(set) var history: TokenHistory
    /// Nil while the sequence wants another row of logits.
    public private(set) var finishReason: FinishReason?

    private let options: GenerationOptions
    private let processors: [any LogitsProcessor]
    private let random: Philox
    private let sample: Int

    /// - Parameters:
    ///   - options: valid ones, without beams.
    ///   - seed: stands for the options' own, which may be missing.
    ///   - sample: the number of the sample within its request.
    ///   - prompt: its ids, which some rules count.
    ///   - earlier: tokens that were generated before, which count as this sequence's.
    public init(
        _ options: GenerationOptions, seed: UInt64, sample: Int = 0, prompt: [Int32] = [],
        continuing earlier: [Int32] = []
    ) {
        self.options = options
        self.sample = sample
        processors = options.processors
        random = Philox(seed: seed)
        history = TokenHistory(prompt: options.compatibility.countsPrompt ? prompt : [], generated: earlier)
        history.reserve(min(max(0, options.maxTokens), 4096))
    }

    /// The tokens so far, without prompt and end token.
    public var ids: [Int32] { Array(history.generated) }

    /// Chooses the next token.
    ///
    /// - Parameters:
    ///   - logits: `[vocabSize]`, the model's row after the last token.
    /// - Returns: nil if the sequence ends here.
    /// - Throws: `.badInput` for logits that are no numbers, or if every token is forbidden.
    public mutating func accept(
        _ logits: Span<Float>, workspace: inout SamplingWorkspace
    ) throws(LeafError) -> Token? {
        precondition(finishReason == nil, "the sequence has ended")
        try workspace.load(logits)
        for processor in processors { processor.process(&workspace, after: history) }
        let id = try choose(&workspace)
        guard id != options.eosID else {
            finishReason = .stop
            return nil
        }
        history.append(id)
        if history.generatedCount == options.maxTokens { finishReason = .length }
        let logprobs = options.logprobs.map { workspace.logprobs(of: logits, chosen: id, top: $0) }
        return Token(id: id, logprobs: logprobs)
    }

    /// Ends the sequence from outside: a stop string was met, or somebody interrupted.
    public mutating func finish(_ reason: FinishReason) {
        finishReason = reason
    }

    /// Takes tokens that were chosen before.
    ///
    /// - Parameter hasStopped: whether the sequence ended with them otherwise than by its length.
    mutating func resume(_ ids: [Int32], hasStopped: Bool) {
        for id in ids { history.append(id) }
        if hasStopped {
            finishReason = .stop
        } else if history.generatedCount == options.maxTokens {
            finishReason = .length
        }
    }

    private func choose(_ workspace: inout SamplingWorkspace) throws(LeafError) -> Int32 {
        let best = workspace.logits.placeOfLargest()
        guard best < workspace.vocabSize, workspace.logits[best] > -.infinity else {
            throw LeafError(.badInput, "no token is left to choose from; allow empty texts or turn the filters off")
        }
        switch options.decoding {
        case .greedy:
            return Int32(best)
        case .sampling, .beams:
            return workspace.draw(random.uniform(step: history.generatedCount, sample: sample))
        }
    }
}

extension SamplingWorkspace {
    /// The id at which the probabilities, summed in double precision by rising id, pass a share of their total.
    ///
    /// Every operation is exact or rounded alike everywhere, so all machines draw the same id.
    ///
    /// - Parameter share: in 0..<1.
    package mutating func draw(_ share: Double) -> Int32 {
        computeProbabilities()
        var total = 0.0
        for id in 0..<vocabSize { total += Double(probabilities[id]) }
        let target = share * total
        var sum = 0.0
        var last: Int32 = 0
        for id in 0..<vocabSize where probabilities[id] > 0 {
            sum += Double(probabilities[id])
            last = Int32(id)
            if sum > target { break }
        }
        return last
    }
}
