import Foundation
import GoldenSupport
import LeafEvaluation
import Testing

/// Metrics against the numbers of rouge-score, sacreBLEU, nltk, scikit-learn and Python's arithmetic.
@Suite struct MetricTests {
    private struct Recorded: Decodable {
        struct Corpus: Decodable {
            let pairs: [[String]]
            let metrics: [String: Double]
        }
        struct Ranking: Decodable {
            struct Line: Decodable {
                let query: String
                let score: Double
                let relevance: Double

                init(from decoder: any Decoder) throws {
                    var values = try decoder.unkeyedContainer()
                    query = try values.decode(String.self)
                    score = try values.decode(Double.self)
                    relevance = try values.decode(Double.self)
                }
            }
            let lines: [Line]
            let metrics: [String: Double]
        }
        struct Sum: Decodable {
            let text: String
            let value: Double?
        }
        let corpora: [Corpus]
        let rankings: [Ranking]
        let sums: [Sum]
    }

    private let recorded: Recorded

    init() throws { recorded = try Golden.decode(Recorded.self, "evaluation/metrics.json") }

    /// Sums of doubles in another order.
    private static let rounding = 1e-12

    private func expect(_ values: [MetricValue], toEqual expected: [String: Double], _ what: String) throws {
        for value in values {
            let wanted = try #require(expected[value.name], "\(value.name)")
            #expect(
                abs(value.value - wanted) < Self.rounding, "\(value.name) of \(what): \(value.value), not \(wanted)")
        }
    }

    @Test func textsAreMeasuredAsTheLibrariesMeasureThem() throws {
        #expect(recorded.corpora.count > 20)
        for corpus in recorded.corpora {
            for metric in [Rouge(), Bleu(), Distinct()] as [any TextMetric] {
                var metric = metric
                for pair in corpus.pairs { metric.add(pair[0], reference: pair[1]) }
                try expect(metric.values, toEqual: corpus.metrics, "\(corpus.pairs)")
            }
        }
    }

    @Test func rankingsAreMeasuredAsScikitLearnMeasuresThem() throws {
        #expect(recorded.rankings.count > 20)
        for ranking in recorded.rankings {
            var gain = RankingGain()
            for line in ranking.lines { gain.add(score: line.score, relevance: line.relevance, query: line.query) }
            try expect(gain.values, toEqual: ranking.metrics, "a ranking of \(ranking.lines.count) lines")
        }
    }

    @Test func answersOfTheSameValueAreRight() {
        for sum in recorded.sums {
            for (answer, isRight) in [("x=\(sum.value ?? 1)", sum.value != nil), ("\((sum.value ?? 1) + 1)", false)] {
                var metric = AnswerAccuracy()
                metric.add(answer, reference: sum.text)
                #expect(metric.values[0].value == (isRight ? 1 : 0), "\(answer) for \(sum.text.prefix(40))")
                #expect(metric.values[1].value == (answer == sum.text ? 1 : 0))
            }
        }
        var same = AnswerAccuracy()
        same.add(" 没有答案\n", reference: "没有答案")
        #expect(same.values.map(\.value) == [1, 1])
    }

    @Test func accuracyIsOfTextsWithoutTheirMargins() {
        var metric = TextAccuracy()
        for (text, reference) in [("①", "①"), ("①\n", " ①"), ("②", "①"), ("", "①")] {
            metric.add(text, reference: reference)
        }
        #expect(metric.values.map(\.value) == [0.5])
    }

    @Test func nothingMeasuredIsZero() {
        for metric in [Rouge(), Bleu(), Distinct(), TextAccuracy(), AnswerAccuracy()] as [any TextMetric] {
            #expect(metric.values.allSatisfy { $0.value == 0 })
        }
        #expect(RankingGain().values.allSatisfy { $0.value == 0 })
    }
}
