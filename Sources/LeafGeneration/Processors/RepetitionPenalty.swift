/// Makes tokens that were generated before less likely: divides a positive logit by the penalty, multiplies a negative
/// one, once for each different token. The prompt counts only with transformers' rules.
///
/// Keskar and others, "CTRL" (2019); 1.2 is usual. Source: CPM-Ant reference, section 5.1.
package struct RepetitionPenalty: LogitsProcessor {
    private let penalty: Float
    private let window: Int?

    /// - Parameter window: how many of the last tokens count; nil for all.
    package init(_ penalty: Float, window: Int?) {
        self.penalty = penalty
        self.window = window
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        workspace.clearMarks()
        let logits = workspace.logits
        for id in history.counted.suffix(window ?? .max) where workspace.mark(id) {
            let logit = logits[Int(id)]
            logits[Int(id)] = logit < 0 ? logit * penalty : logit / penalty
        }
    }
}
