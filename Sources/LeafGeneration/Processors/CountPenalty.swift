/// Makes tokens that occurred before less likely: subtracts `frequency` from the logit for each occurrence, and
/// `presence` once. Negative values make them more likely.
///
/// Defined as in OpenAI's API; 0.1 to 1 is usual.
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
