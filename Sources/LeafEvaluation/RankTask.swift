public import LeafGeneration
public import LeafSystem
import LeafTokenizer

/// A task in which the model judges each input, and the inputs of one query are ranked: `{"input","query","target"}`,
/// where the target is the relevance of the input to the query.
public struct RankTask: EvaluationTask {
    public struct Item: EvaluationItem {
        /// The name of a query, of any type.
        public struct Query: Decodable, Sendable {
            let name: String

            public init(from decoder: any Decoder) throws {
                let value = try decoder.singleValueContainer()
                name =
                    if let number = try? value.decode(Int.self) { "\(number)" } else {
                        try value.decode(String.self)
                    }
            }
        }

        public let input: String
        public let query: Query?
        public let target: Double?

        public var wanted: OutputValue? { target.map { .number($0) } }
    }

    public struct Output: EvaluationOutput {
        public let score: Double

        public var fields: [(name: String, value: OutputValue)] { [("score", .number(score))] }
        public var tokens: Int { 1 }
    }

    public struct Metrics: EvaluationMetrics {
        private var gain = RankingGain()

        public mutating func add(_ output: Output, for item: Item) {
            guard let query = item.query, let relevance = item.target else { return }
            gain.add(score: output.score, relevance: relevance, query: query.name)
        }

        public var values: [MetricValue] { gain.values }
    }

    public let name: String
    public let maxLength: Int
    public var maxTokens: Int? { nil }
    public var metrics: Metrics { Metrics() }

    public func texts(of item: Item, in form: EvaluationForm) throws(LeafError) -> EvaluationTexts<ScoreRequest> {
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

    public func output(of answers: [[TokenScore]]) -> Output {
        Output(score: answers.first.map { Judgement.score($0) } ?? -.infinity)
    }
}
