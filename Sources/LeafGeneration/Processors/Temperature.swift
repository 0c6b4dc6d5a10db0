/// Divides the logits: above 1 makes probabilities more even, below 1 more different.
package struct Temperature: LogitsProcessor {
    private let temperature: Float

    package init(_ temperature: Float) {
        self.temperature = temperature
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        for id in 0..<workspace.vocabSize { workspace.logits[id] /= temperature }
    }
}
