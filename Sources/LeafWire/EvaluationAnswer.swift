package import LeafEvaluation
package import LeafFormat

/// What an item gave, and what was wanted.
package struct EvaluationAnswer {
    package let json: JSON

    package init(id: JSON?, _ wanted: OutputValue?, _ output: some EvaluationOutput) {
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
