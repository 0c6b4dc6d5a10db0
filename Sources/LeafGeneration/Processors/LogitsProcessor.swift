/// One rule that changes the logits before a token is chosen.
package protocol LogitsProcessor: Sendable {
    /// - Parameters:
    ///   - workspace: the logits, changed in place.
    ///   - history: the tokens of this sequence so far.
    func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory)
}

extension GenerationOptions {
    /// The rules in CPM-Live's order, without those that change nothing.
    ///
    /// Source: CPM-Ant reference, sections 5.1 and 5.3. CPM-Live has no logit bias, no penalties by count, no n-gram
    /// rule and no min-p.
    package var processors: [any LogitsProcessor] {
        var rules: [any LogitsProcessor] = []
        if !logitBias.isEmpty { rules.append(LogitBias(logitBias)) }
        if !allowsEmpty { rules.append(FirstTokenBan(eosID: eosID)) }
        if repetitionPenalty != 1 { rules.append(RepetitionPenalty(repetitionPenalty, window: repetitionWindow)) }
        if frequencyPenalty != 0 || presencePenalty != 0 {
            rules.append(CountPenalty(frequency: frequencyPenalty, presence: presencePenalty))
        }
        if noRepeatNgram > 0 { rules.append(NgramBan(noRepeatNgram)) }
        guard decoding == .sampling else { return rules }
        if temperature != 1 { rules.append(Temperature(temperature)) }
        if topK > 0 { rules.append(TopK(topK)) }
        if topP > 0, topP < 1 { rules.append(TopP(topP)) }
        if minP > 0 { rules.append(MinP(minP)) }
        return rules
    }
}
