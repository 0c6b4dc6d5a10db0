/// A metric that compares generated texts with references.
package protocol TextMetric: Sendable {
    /// Counts one pair of texts.
    mutating func add(_ text: String, reference: String)
    /// Shares from 0 to 1, over all pairs.
    var values: [MetricValue] { get }
}

public struct MetricValue: Sendable, Equatable {
    public let name: String
    public let value: Double
}

/// The mean of numbers that are added one by one; 0 if there are none.
struct Mean: Sendable {
    private var sum = 0.0
    private var count = 0

    mutating func add(_ value: Double) {
        sum += value
        count += 1
    }

    var value: Double { count == 0 ? 0 : sum / Double(count) }
}

/// A text as the metrics read it: its characters (Unicode scalars) without white space. Chinese words cannot be counted
/// without a segmenter, and publications on Chinese count characters.
struct Characters {
    /// Up to four consecutive characters; the rest is 0.
    typealias Ngram = SIMD4<UInt32>

    let scalars: [UInt32]

    init(_ text: String) {
        scalars = text.unicodeScalars.filter { !$0.properties.isWhitespace }.map(\.value)
    }

    var count: Int { scalars.count }

    func ngrams(_ order: Int) -> some Sequence<Ngram> {
        (0..<max(0, count - order + 1)).lazy.map { start in
            var ngram = Ngram()
            for index in 0..<order { ngram[index] = scalars[start + index] }
            return ngram
        }
    }

    func ngramCounts(_ order: Int) -> [Ngram: Int] {
        ngrams(order).reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// The number of n-grams that both texts have, each as often as both have it.
    func overlap(_ order: Int, with other: Characters) -> Int {
        let others = other.ngramCounts(order)
        return ngramCounts(order).reduce(0) { $0 + min($1.value, others[$1.key] ?? 0) }
    }
}
