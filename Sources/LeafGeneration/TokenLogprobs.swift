/// The model's own log-probability of a chosen token, and the most likely other tokens: natural logarithms, before
/// temperature, penalties and filters.
public struct TokenLogprobs: Sendable, Equatable {
    public struct Entry: Sendable, Equatable {
        public let id: Int32
        public let logprob: Double

        public init(id: Int32, logprob: Double) {
            self.id = id
            self.logprob = logprob
        }
    }

    public let chosen: Entry
    /// The most likely tokens, best first; of equal ones the smaller id comes first.
    public let top: [Entry]

    public init(chosen: Entry, top: [Entry]) {
        self.chosen = chosen
        self.top = top
    }
}

extension SamplingWorkspace {
    /// The log-softmax of a row at the chosen token and at the `count` most likely ones.
    ///
    /// Overwrites the probabilities.
    package mutating func logprobs(of row: Span<Float>, chosen: Int32, top count: Int) -> TokenLogprobs {
        var largest = -Float.infinity
        for id in 0..<row.count { largest = max(largest, row[id]) }
        probabilities.setToExponentials(of: row, less: largest)
        var sum = 0.0
        for id in 0..<row.count { sum += Double(probabilities[id]) }
        let logOfSum = naturalLogarithm(sum) + Double(largest)
        func entry(_ id: Int32) -> TokenLogprobs.Entry {
            TokenLogprobs.Entry(id: id, logprob: Double(row[Int(id)]) - logOfSum)
        }
        let top = Self.largest(min(count, row.count), of: row)
        return TokenLogprobs(chosen: entry(chosen), top: top.map(entry))
    }

    /// The indices of the `count` largest numbers, in descending order.
    private static func largest(_ count: Int, of row: Span<Float>) -> [Int32] {
        guard count > 0 else { return [] }
        var best: [Int32] = []
        for id in 0..<row.count where best.count < count || row[id] > row[Int(best[count - 1])] {
            if best.count == count { best.removeLast() }
            let index = best.firstIndex { row[Int($0)] < row[id] } ?? best.count
            best.insert(Int32(id), at: index)
        }
        return best
    }
}
