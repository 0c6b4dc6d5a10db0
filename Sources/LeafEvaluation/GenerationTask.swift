public import LeafGeneration
public import LeafSystem
import LeafTokenizer

/// A task in which the model continues an input, and the text is compared with a target: `{"input","target"}`.
public struct GenerationTask: EvaluationTask {
    public struct Item: EvaluationItem {
        public let input: String
        public let target: String?

        public var wanted: OutputValue? { target.map { .text($0) } }
    }

    public struct Output: EvaluationOutput {
        public let text: String
        public let ids: [Int32]
        /// The score of the beam; nil without beams.
        public let score: Double?

        public var fields: [(name: String, value: OutputValue)] {
            [("text", .text(text)), ("ids", .ids(ids))] + (score.map { [("score", .number($0))] } ?? [])
        }
        public var tokens: Int { ids.count }
    }

    public struct Metrics: EvaluationMetrics {
        fileprivate var parts: [any TextMetric]

        public mutating func add(_ output: Output, for item: Item) {
            guard let target = item.target else { return }
            for place in parts.indices { parts[place].add(output.text, reference: target) }
        }

        public var values: [MetricValue] { parts.flatMap(\.values) }
    }

    public let name: String
    public let maxLength: Int
    public let maxTokens: Int?
    public let metrics: Metrics

    init(name: String, maxLength: Int, maxTokens: Int, metrics: [any TextMetric]) {
        self.name = name
        self.maxLength = maxLength
        self.maxTokens = maxTokens
        self.metrics = Metrics(parts: metrics)
    }

    public func texts(
        of item: Item, in form: EvaluationForm
    ) throws(LeafError) -> EvaluationTexts<GenerationRequest> {
        let known = form.tokenizer.encode(item.input).filter { $0 != Tokenizer.unknownID }
        let (ids, isCut) = form.cut([Tokenizer.bosID] + known)
        return EvaluationTexts(
            requests: [GenerationRequest(prompt: try form.rows(ids), options: form.options)], isCut: isCut)
    }

    public func output(of answers: [Generation]) -> Output {
        let sample = answers.first?.samples.first
        return Output(text: sample?.text ?? "", ids: sample?.ids ?? [], score: sample?.score)
    }
}
