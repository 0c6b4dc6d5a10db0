import LeafSystem
import LeafWire
import Leafcutter

extension EvaluationReport {
    /// For people: what was evaluated, and a table.
    var text: String {
        "\(task), \(Quantity.count(items, "item"))" + (compared < items ? ", \(compared) with a target" : "") + "\n"
            + Quantity.table(values.map { ($0.name, $0.value.fixed(4)) })
    }
}
