package import LeafGeneration
package import LeafSystem
import LeafTokenizer

/// A task in which the model judges each input, and the inputs of one query are ranked: `{"input","query","target"}`,
/// where the target is the relevance of the input to the query.
package struct RankTask: EvaluationTask {
    package struct Item: EvaluationItem {
        /// The name of a query, of any type.
        package struct Query: Decodable, Sendable {
            let name: String

            package init(from decoder: any Decoder) throws {
                let value = try decoder.singleValueContainer()
                name =
                    if let number = try? value.decode(Int.self) { "\(number)" } else {
                        try value.decode(String.self)
                    }
            }
        }

        package let input: String
        package let query: Query?
        package let target: Double?

        package var wanted: OutputValue? { target.map { .number($0) } }
    }

    package struct Output: EvaluationOutput {
        package let score: Double

        package var fields: [(name: String, value: OutputValue)] { [("score", .number(score))] }
        package var tokens: Int { 1 }
    }

    package struct Metrics: EvaluationMetrics {
        private var gain = RankingGain()

        package mutating func add(_ output: Output, for item: Item) {
            guard let query = item.query, let relevance = item.target else { return }
            gain.add(score: output.score, relevance: relevance, query: query.name)
        }

        package var values: [MetricValue] { gain.values }
    }

    package let name: String
    package let maxLength: Int
    package var maxTokens: Int? { nil }
    package var metrics: Metrics { Metrics() }

    package func texts(of item: Item, in form: EvaluationForm) throws(LeafError) -> EvaluationTexts<ScoreRequest> {
        if let target = item.target {
            guard item.query != nil else {
                throw LeafError(.usage, "'query' is missing beside 'target'; nDCG ranks the lines of one query")
            }
            guard target >= 0, target.isFinite else {
                throw LeafError(.usage, "'target' \(target) is negative; a relevance is 0 or more")
            }
        }
        let judgement = try form.judgement()
        let (ids, isCut) = form.cut(judgement.ids(of: [Tokenizer.bosID] + form.tokenizer.encode(item.input)))
        return EvaluationTexts(requests: [judgement.request(try form.rows(ids))], isCut: isCut)
    }

    package func output(of answers: [[TokenScore]]) -> Output {
        Output(score: answers.first.map { Judgement.score($0) } ?? -.infinity)
    }
}
