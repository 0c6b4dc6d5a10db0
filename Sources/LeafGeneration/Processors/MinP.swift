/// Drops tokens whose probability is below a share of the most likely token's.
///
/// Nguyen and others, "Turning up the heat: min-p sampling" (2024); 0.05 to 0.1 is usual.
package struct MinP: LogitsProcessor {
    private let share: Float

    package init(_ share: Float) {
        self.share = share
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        workspace.computeProbabilities()
        let probabilities = workspace.probabilities
        let threshold = share * probabilities[probabilities.indexOfLargest()]
        workspace.keep { probabilities[$0] >= threshold }
    }
}
