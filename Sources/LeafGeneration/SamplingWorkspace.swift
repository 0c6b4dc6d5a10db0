public import LeafFormat

/// The room in which one token after another is chosen, for one sequence after another; nothing is allocated later.
public struct SamplingWorkspace: ~Copyable, Sendable {
    /// `[vocabSize]`; -infinity: this id cannot be chosen.
    let logits: FloatRow
    /// `[vocabSize]`; what the last `computeProbabilities` found.
    let probabilities: FloatRow
    /// Room for ids in the order of their probabilities.
    var order: [Int32]

    public init(vocabSize: Int) throws(LeafError) {
        precondition(vocabSize > 0)
        let logits = try FloatRow(count: vocabSize)
        let probabilities = try FloatRow(count: vocabSize)
        self.logits = logits
        self.probabilities = probabilities
        order = []
        order.reserveCapacity(vocabSize)
    }

    public var vocabSize: Int { logits.count }

    /// Bytes of a workspace, for the memory plan.
    public static func byteCount(vocabSize: Int) -> Int {
        2 * FloatRow.byteCount(vocabSize) + vocabSize * MemoryLayout<Int32>.stride
    }

    /// Takes a row of the model's logits to work on.
    ///
    /// - Throws: `.badInput` if it holds a NaN or an infinity, which only damaged weights make.
    package mutating func load(_ row: Span<Float>) throws(LeafError) {
        precondition(row.count == vocabSize)
        for id in 0..<row.count {
            let logit = row[id]
            guard logit < .infinity else {
                throw LeafError(
                    .badInput, "the model computes \(logit) for token \(id): its weights are damaged; convert it again")
            }
            logits[id] = logit
        }
    }

    /// Softmax of the logits as they are now.
    mutating func computeProbabilities() {
        probabilities.setToSoftmax(of: logits)
    }

    /// Shuts out every id that does not pass.
    mutating func keep(where passes: (_ id: Int) -> Bool) {
        for id in 0..<vocabSize where !passes(id) { logits[id] = -.infinity }
    }

    /// The logits as they are now, to look at.
    package var currentLogits: [Float] {
        (0..<vocabSize).map { logits[$0] }
    }

    /// The softmax of the logits as they are now, to look at.
    package mutating func currentProbabilities() -> [Float] {
        computeProbabilities()
        return (0..<vocabSize).map { probabilities[$0] }
    }
}
