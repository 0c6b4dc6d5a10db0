public import LeafGeneration
public import LeafSystem

/// A task of CUGE on which CPM-Ant was published: the form of its items, the requests for them, and how answers are
/// judged.
///
/// Nothing here reads a file or runs a model: items become requests, answers become outputs, outputs become metrics.
///
/// - Source: CPM-Ant reference, sections 5.8 and 8.2; CPM-Live's `examples/infer.py` and `tune.py`.
public protocol EvaluationTask: Sendable {
    associatedtype Item: EvaluationItem
    associatedtype Request: ModelRequest
    associatedtype Output: EvaluationOutput
    associatedtype Metrics: EvaluationMetrics where Metrics.Item == Item, Metrics.Output == Output

    /// The name that CUGE uses.
    var name: String { get }
    /// The most positions of a text in CPM-Live's training of adapters, soft prompt and target included.
    var maxLength: Int { get }
    /// The most tokens that CPM-Live's inference generates; nil if the task generates none.
    var maxTokens: Int? { get }
    /// Metrics that have counted nothing yet.
    var metrics: Metrics { get }

    /// - Throws: `.usage` for an invalid item.
    func texts(of item: Item, in form: EvaluationForm) throws(LeafError) -> EvaluationTexts<Request>
    /// - Parameter answers: one for each request, in the order of the requests.
    func output(of answers: [Request.Answer]) -> Output
}

/// One line of a data file.
public protocol EvaluationItem: Decodable, Sendable {
    /// The target of the item; nil if it has none.
    var wanted: OutputValue? { get }
}

/// The output of a model for an item.
public protocol EvaluationOutput: Sendable {
    /// The fields to write, in this order.
    var fields: [(name: String, value: OutputValue)] { get }
    /// The number of tokens that were generated or scored.
    var tokens: Int { get }
}

public enum OutputValue: Sendable, Equatable {
    case text(String)
    case ids([Int32])
    case integer(Int)
    case number(Double)
    case numbers([Double])
}

/// Metrics that compare outputs with targets.
public protocol EvaluationMetrics: Sendable {
    associatedtype Item
    associatedtype Output

    /// Counts an item that has a target.
    mutating func add(_ output: Output, for item: Item)
    var values: [MetricValue] { get }
}

/// The requests for one item.
public struct EvaluationTexts<Request: ModelRequest>: Sendable {
    public let requests: [Request]
    /// Whether the beginning of a text was cut away.
    public let isCut: Bool
}

/// The six tasks.
public enum EvaluationTasks {
    public static let all: [any EvaluationTask] = [
        GenerationTask(name: "CCPM", maxLength: 256, maxTokens: 1, metrics: [TextAccuracy()]),
        ChoiceTask(name: "C3", maxLength: 1024),
        RankTask(name: "Sogou-Log", maxLength: 256),
        GenerationTask(name: "LCSTS", maxLength: 256, maxTokens: 50, metrics: [Rouge()]),
        GenerationTask(name: "KdConv", maxLength: 1500, maxTokens: 50, metrics: [Bleu(), Distinct()]),
        GenerationTask(name: "Math23K", maxLength: 256, maxTokens: 32, metrics: [AnswerAccuracy()]),
    ]

    /// The task with this name, in any case of letters.
    public static func named(_ name: String) -> (any EvaluationTask)? {
        all.first { $0.name.lowercased() == name.lowercased() }
    }
}
