package import LeafGeneration
package import LeafSystem
import LeafTokenizer

/// A task in which the model continues an input, and the text is compared with a target: `{"input","target"}`.
package struct GenerationTask: EvaluationTask {
    package struct Item: EvaluationItem {
        package let input: String
        package let target: String?

        package var wanted: OutputValue? { target.map { .text($0) } }
    }

    package struct Output: EvaluationOutput {
        package let text: String
        package let ids: [Int32]
        /// The score of the beam; nil without beams.
        package let score: Double?

        package var fields: [(name: String, value: OutputValue)] {
            [("text", .text(text)), ("ids", .ids(ids))] + (score.map { [("score", .number($0))] } ?? [])
        }
        package var tokens: Int { ids.count }
    }

    package struct Metrics: EvaluationMetrics {
        fileprivate var parts: [any TextMetric]

        package mutating func add(_ output: Output, for item: Item) {
            guard let target = item.target else { return }
            for index in parts.indices { parts[index].add(output.text, reference: target) }
        }

        package var values: [MetricValue] { parts.flatMap(\.values) }
    }

    package let name: String
    package let maxLength: Int
    package let maxTokens: Int?
    package let metrics: Metrics

    init(name: String, maxLength: Int, maxTokens: Int, metrics: [any TextMetric]) {
        self.name = name
        self.maxLength = maxLength
        self.maxTokens = maxTokens
        self.metrics = Metrics(parts: metrics)
    }

    package func texts(
        of item: Item, in form: EvaluationForm
    ) throws(LeafError) -> EvaluationTexts<GenerationRequest> {
        let known = form.tokenizer.encode(item.input).filter { $0 != Tokenizer.unknownID }
        let (ids, isCut) = form.cut([Tokenizer.bosID] + known)
        return EvaluationTexts(
            requests: [GenerationRequest(prompt: try form.rows(ids), options: form.options)], isCut: isCut)
    }

    package func output(of answers: [Generation]) -> Output {
        let sample = answers.first?.samples.first
        return Output(text: sample?.text ?? "", ids: sample?.ids ?? [], score: sample?.score)
    }
}
