public import LeafGeneration
public import LeafSystem
import LeafTokenizer

/// A task in which the model judges each option, and the option with the highest score is its choice:
/// `{"input","options":[..],"target":0}`.
public struct ChoiceTask: EvaluationTask {
    public struct Item: EvaluationItem {
        public let input: String
        public let options: [String]
        public let target: Int?

        public var wanted: OutputValue? { target.map { .integer($0) } }
    }

    public struct Output: EvaluationOutput {
        /// The score of each option.
        public let scores: [Double]

        public init(scores: [Double]) { self.scores = scores }

        /// The option with the highest score; of equal ones the first.
        public var choice: Int { scores.indices.max { (scores[$0], $1) < (scores[$1], $0) } ?? 0 }

        public var fields: [(name: String, value: OutputValue)] {
            [("choice", .integer(choice)), ("scores", .numbers(scores))]
        }
        public var tokens: Int { scores.count }
    }

    /// The share of items for which the model chose the target.
    public struct Metrics: EvaluationMetrics {
        private var accuracy = Mean()

        public mutating func add(_ output: Output, for item: Item) {
            accuracy.add(output.choice == item.target ? 1 : 0)
        }

        public var values: [MetricValue] { [MetricValue(name: "accuracy", value: accuracy.value)] }
    }

    public let name: String
    public let maxLength: Int
    public var maxTokens: Int? { nil }
    public var metrics: Metrics { Metrics() }

    public func texts(of item: Item, in form: EvaluationForm) throws(LeafError) -> EvaluationTexts<ScoreRequest> {
        guard !item.options.isEmpty else { throw LeafError(.usage, "'options' is empty; give at least one") }
        if let target = item.target, !item.options.indices.contains(target) {
            throw LeafError(.usage, "'target' \(target) is none of the \(item.options.count) options, counted from 0")
        }
        let judgement = try form.judgement()
        let input = [Tokenizer.bosID] + form.tokenizer.encode(item.input)
        var requests: [ScoreRequest] = []
        var isAnyCut = false
        for option in item.options {
            let (ids, isCut) = form.cut(judgement.ids(of: input, option: form.tokenizer.encode(option)))
            requests.append(judgement.request(try form.rows(ids)))
            isAnyCut = isAnyCut || isCut
        }
        return EvaluationTexts(requests: requests, isCut: isAnyCut)
    }

    public func output(of answers: [[TokenScore]]) -> Output { Output(scores: answers.map { Judgement.score($0) }) }
}
