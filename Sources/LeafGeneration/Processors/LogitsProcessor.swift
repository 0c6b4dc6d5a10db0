/// One rule that changes the logits before a token is chosen.
package protocol LogitsProcessor: Sendable {
    /// - Parameters:
    ///   - workspace: its logits are changed in place.
    ///   - generated: the tokens of this sequence so far, without the prompt.
    func process(_ workspace: inout SamplingWorkspace, after generated: [Int32])
}

extension GenerationOptions {
    /// The rules in CPM-Live's order, those that change nothing left out.
    ///
    /// Source: CPM-Ant reference, sections 5.1 and 5.3; min-p is not CPM-Live's and comes last.
    package var processors: [any LogitsProcessor] {
        var rules: [any LogitsProcessor] = []
        if !allowEmpty { rules.append(FirstTokenBan(eosID: eosID)) }
        if repetitionPenalty != 1 { rules.append(RepetitionPenalty(repetitionPenalty, window: repetitionWindow)) }
        guard decoding == .sampling else { return rules }
        if temperature != 1 { rules.append(Temperature(temperature)) }
        if topK > 0 { rules.append(TopK(topK)) }
        if topP > 0, topP < 1 { rules.append(TopP(topP)) }
        if minP > 0 { rules.append(MinP(minP)) }
        return rules
    }
}
