/// Makes tokens less likely that came already: `frequency` is taken off the logit for each time, `presence` once.
/// Negative ones make them more likely.
///
/// As OpenAI's API defines them; 0.1 to 1 is usual.
package struct CountPenalty: LogitsProcessor {
    private let frequency: Float
    private let presence: Float

    package init(frequency: Float, presence: Float) {
        self.frequency = frequency
        self.presence = presence
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        workspace.clearMarks()
        let logits = workspace.logits
        for id in history.counted {
            logits[Int(id)] -= workspace.mark(id) ? frequency + presence : frequency
        }
    }
}
