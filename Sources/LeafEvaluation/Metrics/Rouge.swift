/// ROUGE-1, ROUGE-2 and ROUGE-L of characters: the mean of the F1 of all texts.
///
/// - Source: Lin 2004. The same numbers as Python's rouge-score with characters as tokens.
package struct Rouge: TextMetric {
    private var means = [Mean(), Mean(), Mean()]

    package init() {}

    package mutating func add(_ text: String, reference: String) {
        let (text, reference) = (Characters(text), Characters(reference))
        for order in 1...2 {
            means[order - 1].add(
                Self.f1(
                    text.overlap(order, with: reference), of: max(0, text.count - order + 1),
                    and: max(0, reference.count - order + 1)))
        }
        means[2].add(Self.f1(Self.longestCommon(text.scalars, reference.scalars), of: text.count, and: reference.count))
    }

    package var values: [MetricValue] {
        zip(["rouge1", "rouge2", "rougeL"], means).map { MetricValue(name: $0, value: $1.value) }
    }

    private static func f1(_ common: Int, of found: Int, and wanted: Int) -> Double {
        guard common > 0 else { return 0 }
        let (precision, recall) = (Double(common) / Double(found), Double(common) / Double(wanted))
        return 2 * precision * recall / (precision + recall)
    }

    /// The length of the longest common subsequence.
    private static func longestCommon(_ a: [UInt32], _ b: [UInt32]) -> Int {
        var row = Array(repeating: 0, count: a.count + 1)
        for y in b {
            var diagonal = 0
            for (column, x) in a.enumerated() {
                let above = row[column + 1]
                row[column + 1] = x == y ? diagonal + 1 : max(above, row[column])
                diagonal = above
            }
        }
        return row[a.count]
    }
}
