import Glibc
package import LeafSystem

/// Why a text ended.
public enum FinishReason: String, Sendable, Codable {
    /// The model ended it, or it reached a stop string.
    case stop
    /// It has as many tokens as requested.
    case length
    /// The caller stopped it.
    case interrupted
}

/// Chooses the tokens of one greedy or random sequence from the rows of logits that the model computes for it.
///
/// This is a value: a copy continues by itself. Its choices depend only on the logits, the options, the seed and the
/// sample's number.
package struct SequenceDecoder: Sendable {
    /// A token that was chosen.
    package struct Token: Sendable, Equatable {
        package let id: Int32
        /// Present if the options ask for them.
        package let logprobs: TokenLogprobs?
    }

    package private(set) var history: TokenHistory
    /// Nil while the sequence needs another row of logits.
    package private(set) var finishReason: FinishReason?

    private let options: GenerationOptions
    private let processors: [any LogitsProcessor]
    private let noise: GumbelNoise

    /// - Parameters:
    ///   - options: valid options, without beams.
    ///   - seed: replaces the options' own, which may be missing.
    ///   - sample: the number of the sample in its request.
    ///   - prompt: the prompt's ids, which some rules count.
    ///   - earlier: tokens generated before, which count as part of this sequence.
    package init(
        _ options: GenerationOptions, seed: UInt64, sample: Int = 0, prompt: [Int32] = [],
        continuing earlier: [Int32] = []
    ) {
        self.options = options
        processors = options.processors
        noise = GumbelNoise(seed: seed, sample: sample)
        history = TokenHistory(prompt: options.compatibility.countsPrompt ? prompt : [], generated: earlier)
        history.reserve(min(max(0, options.maxTokens), 4096))
    }

    /// The tokens so far, without prompt and end token.
    package var ids: [Int32] { Array(history.generated) }

    /// Chooses the next token.
    ///
    /// - Parameters:
    ///   - logits: `[vocabSize]`, the model's row after the last token.
    /// - Returns: nil if the sequence ends here.
    /// - Throws: `.badInput` for logits that are not numbers, or if every token is forbidden.
    package mutating func accept(
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

    /// What would come next by these logits, the best first; an end is no guess.
    ///
    /// - Parameters:
    ///   - logits: as many as `accept` gets.
    ///   - path: drafts that count as tokens of the sequence here.
    ///   - question: how many, and how far the logits are from those that decide.
    mutating func guesses(
        from logits: Span<Float>, behind path: [Int32], _ question: DraftQuestion,
        workspace: inout SamplingWorkspace
    ) -> [DraftGuess] {
        guard (try? workspace.load(logits)) != nil else { return [] }
        for id in path { history.append(id) }
        defer { history.removeLast(path.count) }
        for processor in processors { processor.process(&workspace, after: history) }
        let leaders = workspace.leaders(
            options.decoding == .greedy ? nil : noise, step: history.generatedCount, count: question.count)
        guard let first = leaders.first, first.id != options.eosID else { return [] }
        // Whoever is near the largest sum here may have the largest one there.
        func weight(_ sum: Double) -> Double { exp((sum - first.sum) / question.spread) }
        let total = leaders.reduce(0) { $0 + weight($1.sum) }
        return leaders.filter { $0.id != options.eosID }.map { DraftGuess(id: $0.id, estimate: weight($0.sum) / total) }
    }

    /// Ends the sequence from outside: it reached a stop string, or the caller interrupted it.
    package mutating func finish(_ reason: FinishReason) {
        finishReason = reason
    }

    /// Continues with tokens that were chosen before.
    ///
    /// - Parameter hasStopped: whether the sequence ended with them for another reason than its length.
    mutating func resume(_ ids: [Int32], hasStopped: Bool) {
        for id in ids { history.append(id) }
        if hasStopped {
            finishReason = .stop
        } else if history.generatedCount == options.maxTokens {
            finishReason = .length
        }
    }

    private func choose(_ workspace: inout SamplingWorkspace) throws(LeafError) -> Int32 {
        let best = workspace.logits.indexOfLargest()
        guard best < workspace.vocabSize, workspace.logits[best] > -.infinity else {
            throw LeafError(.badInput, "no token is left to choose from; allow empty texts or turn the filters off")
        }
        switch options.decoding {
        case .greedy:
            return Int32(best)
        case .sampling, .beams:
            return workspace.draw(noise, step: history.generatedCount, best: best)
        }
    }
}
