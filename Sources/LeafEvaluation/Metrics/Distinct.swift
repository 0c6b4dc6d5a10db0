/// Distinct-1 and Distinct-2 of characters: the number of different n-grams of all texts together, divided by the
/// number of all their n-grams.
///
/// - Source: Li and others 2016.
package struct Distinct: TextMetric {
    private var kinds: [Set<Characters.Ngram>] = [[], []]
    private var totals = [0, 0]

    package init() {}

    package mutating func add(_ text: String, reference: String) {
        let text = Characters(text)
        for order in 1...2 {
            for ngram in text.ngrams(order) { kinds[order - 1].insert(ngram) }
            totals[order - 1] += max(0, text.count - order + 1)
        }
    }

    package var values: [MetricValue] {
        zip(kinds, totals).enumerated().map { index, counts in
            let share: Double = counts.1 == 0 ? 0 : Double(counts.0.count) / Double(counts.1)
            return MetricValue(name: "distinct\(index + 1)", value: share)
        }
    }
}
