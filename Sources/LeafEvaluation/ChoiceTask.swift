package import LeafGeneration
package import LeafSystem
import LeafTokenizer

/// A task in which the model judges each option, and the option with the highest score is its choice:
/// `{"input","options":[..],"target":0}`.
package struct ChoiceTask: EvaluationTask {
    package struct Item: EvaluationItem {
        package let input: String
        package let options: [String]
        package let target: Int?

        package var wanted: OutputValue? { target.map { .integer($0) } }
    }

    package struct Output: EvaluationOutput {
        /// The score of each option.
        package let scores: [Double]

        package init(scores: [Double]) { self.scores = scores }

        /// The option with the highest score; of equal ones the first.
        package var choice: Int { scores.indices.max { (scores[$0], $1) < (scores[$1], $0) } ?? 0 }

        package var fields: [(name: String, value: OutputValue)] {
            [("choice", .integer(choice)), ("scores", .numbers(scores))]
        }
        package var tokens: Int { scores.count }
    }

    /// The share of items for which the model chose the target.
    package struct Metrics: EvaluationMetrics {
        private var accuracy = Mean()

        package mutating func add(_ output: Output, for item: Item) {
            accuracy.add(output.choice == item.target ? 1 : 0)
        }

        package var values: [MetricValue] { [MetricValue(name: "accuracy", value: accuracy.value)] }
    }

    package let name: String
    package let maxLength: Int
    package var maxTokens: Int? { nil }
    package var metrics: Metrics { Metrics() }

    package func texts(of item: Item, in form: EvaluationForm) throws(LeafError) -> EvaluationTexts<ScoreRequest> {
        guard !item.options.isEmpty else { throw LeafError(.usage, "'options' is empty; give at least one") }
        if let target = item.target, !item.options.indices.contains(target) {
            throw LeafError(
                .usage, "'target' \(target) is none of the \(item.options.count.of("option")), counted from 0")
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

    package func output(of answers: [[TokenScore]]) -> Output { Output(scores: answers.map { Judgement.score($0) }) }
}
