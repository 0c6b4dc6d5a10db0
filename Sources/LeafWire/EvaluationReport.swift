package import LeafEvaluation
package import LeafFormat
import LeafStream
package import Leafcutter

/// The results of an evaluation so far.
package struct EvaluationReport<Metrics: EvaluationMetrics>
where Metrics.Item: EvaluationItem, Metrics.Output: EvaluationOutput {
    package let task: String
    private var metrics: Metrics
    package private(set) var items = 0
    package private(set) var tokens = 0
    package private(set) var compared = 0

    package init(task: String, metrics: Metrics) {
        self.task = task
        self.metrics = metrics
    }

    package mutating func add(_ output: Metrics.Output, for item: Metrics.Item) {
        items += 1
        tokens += output.tokens
        guard item.wanted != nil else { return }
        compared += 1
        metrics.add(output, for: item)
    }

    /// Empty where nothing was compared.
    package var values: [MetricValue] { compared == 0 ? [] : metrics.values }

    package func json(cut: Int, seconds: Double, _ model: Model) -> JSON {
        [
            "task": .string(task), "metrics": .object(values.map { ($0.name, .number($0.value)) }),
            "items": .integer(items), "compared": .integer(compared), "cut": .integer(cut), "tokens": .integer(tokens),
            "timing": ["seconds": .number(seconds), "sweeps": .integer(model.counters.sweeps)],
            "memory": .memory(model), "io": .io(model),
        ]
    }
}
