package import LeafFormat
package import LeafSystem

extension LeafError {
    /// The kind by its name in JSON.
    package var code: String {
        switch kind {
        case .usage: "usage"
        case .badInput: "bad_input"
        case .io: "io"
        case .budget: "budget"
        case .tooLong: "too_long"
        case .busy: "busy"
        case .cancelled: "cancelled"
        }
    }

    /// `{"code","message"}`, and the line of a file that it came from.
    package func json(line: Int? = nil) -> JSON {
        .object(
            [("code", .string(code)), ("message", .string(description))]
                + (line.map { [("line", .integer($0))] } ?? []))
    }

    /// The answer to a request that failed: `{"id","error"}`.
    package func answer(id: JSON?) -> JSON {
        .object((id.map { [("id", $0)] } ?? []) + [("error", .string(description))])
    }
}
