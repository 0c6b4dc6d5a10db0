import CLeafKernels
package import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// The buffers for choosing tokens, for one sequence after another. They are allocated once.
package struct SamplingWorkspace: ~Copyable, Sendable {
    /// `[vocabSize]`; -infinity means that this id cannot be chosen.
    let logits: FloatRow
    /// `[vocabSize]`; the result of the last `computeProbabilities`.
    let probabilities: FloatRow
    /// The logits of the vocabulary and of the soft prompts together, before they are loaded.
    let joined: FloatRow
    /// Memory for ids in the order of their probabilities.
    var order: [Int32]
    /// For each id, the round in which it was marked last.
    private var marks: [UInt32]
    private var round: UInt32 = 0

    /// Ids of a vocabulary at most, those of soft prompts among them.
    private static let mostTokens = 1 << 24

    /// - Parameters:
    ///   - softPromptRows: tokens behind the vocabulary, which a row of logits may have too.
    ///   - kernels: the model's.
    /// - Throws: `.usage` for sizes that no vocabulary has, `.budget` when the system refuses the memory.
    package init(vocabSize: Int, softPromptRows: Int = 0, kernels: Kernels) throws(LeafError) {
        let capacity = vocabSize +| softPromptRows
        guard vocabSize > 0, softPromptRows >= 0, capacity <= Self.mostTokens else {
            throw LeafError(
                .usage, "\(vocabSize) and \(softPromptRows) tokens are not between 1 and \(Self.mostTokens)")
        }
        let logits = try FloatRow(count: capacity, kernels: kernels.floats)
        let probabilities = try FloatRow(count: capacity, kernels: kernels.floats)
        let joined = try FloatRow(count: capacity, kernels: kernels.floats)
        self.logits = logits
        self.probabilities = probabilities
        self.joined = joined
        order = []
        order.reserveCapacity(capacity)
        marks = Array(repeating: 0, count: capacity)
    }

    /// The number of logits in the current row.
    package var vocabSize: Int { logits.count }

    /// Bytes of a workspace, for the memory plan.
    package static func byteCount(_ configuration: ModelConfiguration) -> Int {
        let capacity = configuration.vocabSize + configuration.promptRows
        return 3 * FloatRow.byteCount(capacity) + 2 * capacity * MemoryLayout<Int32>.stride
    }

    /// Loads a row of the model's logits.
    ///
    /// - Throws: `.badInput` for a NaN or an infinity, which only damaged weights produce.
    package mutating func load(_ row: Span<Float>) throws(LeafError) {
        logits.resize(to: row.count)
        probabilities.resize(to: row.count)
        for id in 0..<row.count {
            let logit = row[id]
            guard logit < .infinity else {
                throw LeafError(
                    .badInput,
                    "the model computes \(logit) for token \(id), so its weights are damaged; make its file again")
            }
            logits[id] = logit
        }
    }

    /// Computes the softmax of the present logits.
    mutating func computeProbabilities() {
        probabilities.setToSoftmax(of: logits)
    }

    /// The logarithm of the sum of the exponentials of the logits. Overwrites the probabilities.
    mutating func logOfSum() -> Double {
        let largest = logits[logits.indexOfLargest()]
        guard largest > -.infinity else { return -.infinity }
        probabilities.setToExponentials(of: logits, less: largest)
        var sum = 0.0
        for id in 0..<vocabSize { sum += Double(probabilities[id]) }
        return naturalLogarithm(sum) + Double(largest)
    }

    /// Forbids every id that does not pass.
    mutating func keep(where passes: (_ id: Int) -> Bool) {
        for id in 0..<vocabSize where !passes(id) { logits[id] = -.infinity }
    }

    /// Removes all marks.
    mutating func clearMarks() {
        round += 1
        // After four billion rounds, marks of the first rounds would become valid again.
        if round == .max {
            for id in marks.indices { marks[id] = 0 }
            round = 1
        }
    }

    /// Marks the id, and returns whether it had no mark since `clearMarks`.
    mutating func mark(_ id: Int32) -> Bool {
        guard marks[Int(id)] != round else { return false }
        marks[Int(id)] = round
        return true
    }

    /// A copy of the present logits, for tests.
    package var currentLogits: [Float] {
        (0..<vocabSize).map { logits[$0] }
    }

    /// The softmax of the present logits, for tests.
    package mutating func currentProbabilities() -> [Float] {
        computeProbabilities()
        return (0..<vocabSize).map { probabilities[$0] }
    }
}
