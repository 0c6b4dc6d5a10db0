import Glibc

/// nDCG of the lines of one query, ranked by their scores: the mean over the queries, for the first 1, 5, 10 and all
/// lines.
///
/// - Source: Järvelin and Kekäläinen 2002. The same numbers as scikit-learn's `ndcg_score`: the gain is the relevance
///   itself, lines of equal score share their ranks, and a query without a relevant line counts as 0.
package struct RankingGain: Sendable {
    private struct Line {
        let score: Double
        let relevance: Double
    }

    private static let cutoffs = [1, 5, 10, Int.max]

    private var indices: [String: Int] = [:]
    /// Lines by query, in the order of first occurrence, so that sums do not depend on hashes.
    private var queries: [[Line]] = []

    package init() {}

    /// - Parameter relevance: a number that is not negative.
    package mutating func add(score: Double, relevance: Double, query: String) {
        let index = indices[query] ?? queries.count
        if index == queries.count {
            indices[query] = index
            queries.append([])
        }
        queries[index].append(Line(score: score, relevance: relevance))
    }

    package var values: [MetricValue] {
        Self.cutoffs.map { cutoff in
            var mean = Mean()
            for lines in queries { mean.add(Self.gain(lines, cutoff)) }
            return MetricValue(name: cutoff == .max ? "ndcg" : "ndcg@\(cutoff)", value: mean.value)
        }
    }

    private static func gain(_ lines: [Line], _ cutoff: Int) -> Double {
        let ideal = discounted(
            lines.map { Line(score: $0.relevance, relevance: $0.relevance) }, cutoff)
        return ideal == 0 ? 0 : discounted(lines, cutoff) / ideal
    }

    private static func discounted(_ lines: [Line], _ cutoff: Int) -> Double {
        let ranked = lines.sorted { $0.score > $1.score }
        var sum = 0.0
        var first = 0
        while first < ranked.count {
            let equals = ranked[first...].prefix { $0.score == ranked[first].score }
            var (discounts, relevance) = (0.0, 0.0)
            for rank in equals.indices {
                if rank < cutoff { discounts += 1 / log2(Double(rank) + 2) }
                relevance += equals[rank].relevance
            }
            sum += discounts * relevance / Double(equals.count)
            first = equals.endIndex
        }
        return sum
    }
}
