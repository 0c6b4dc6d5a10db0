import LeafFormat
import LeafWire
import Leafcutter

/// The results of an evaluation so far.
struct EvaluationReport<Metrics: EvaluationMetrics>
where Metrics.Item: EvaluationItem, Metrics.Output: EvaluationOutput {
    let task: String
    private var metrics: Metrics
    private(set) var items = 0
    private(set) var tokens = 0
    private var compared = 0

    init(task: String, metrics: Metrics) {
        self.task = task
        self.metrics = metrics
    }

    mutating func add(_ output: Metrics.Output, for item: Metrics.Item) {
        items += 1
        tokens += output.tokens
        guard item.wanted != nil else { return }
        compared += 1
        metrics.add(output, for: item)
    }

    private var values: [MetricValue] { compared == 0 ? [] : metrics.values }

    var text: String {
        "\(task), \(Quantity.count(items, "item"))" + (compared < items ? ", \(compared) with a target" : "") + "\n"
            + Quantity.table(values.map { ($0.name, $0.value.fixed(4)) })
    }

    func json(cut: Int, seconds: Double, _ model: Model) -> JSON {
        [
            "task": .string(task), "metrics": .object(values.map { ($0.name, .number($0.value)) }),
            "items": .integer(items), "compared": .integer(compared), "cut": .integer(cut), "tokens": .integer(tokens),
            "timing": ["seconds": .number(seconds), "sweeps": .integer(model.counters.sweeps)],
            "memory": .memory(model), "io": .io(model),
        ]
    }
}

/// One line of `--output`.
struct EvaluationAnswer {
    let json: JSON

    init(id: JSON?, _ wanted: OutputValue?, _ output: some EvaluationOutput) {
        var fields: [(key: String, value: JSON)] = [("id", id ?? .null)]
        fields += output.fields.map { ($0.name, Self.json($0.value)) }
        if let wanted { fields.append(("target", Self.json(wanted))) }
        json = .object(fields)
    }

    private static func json(_ value: OutputValue) -> JSON {
        switch value {
        case .text(let text): .string(text)
        case .ids(let ids): .ids(ids)
        case .integer(let number): .integer(number)
        case .number(let number): .number(number)
        case .numbers(let numbers): .array(numbers.map { .number($0) })
        }
    }
}
