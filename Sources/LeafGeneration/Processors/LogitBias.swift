/// Adds a number to the logits of single tokens. Above 0 makes them more likely; -100 practically forbids them.
package struct LogitBias: LogitsProcessor {
    private let biases: [(id: Int, bias: Float)]

    package init(_ biases: [Int32: Float]) {
        self.biases = biases.map { (Int($0), $1) }
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        for (id, bias) in biases where id < workspace.vocabSize { workspace.logits[id] += bias }
    }
}
