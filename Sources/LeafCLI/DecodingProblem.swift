/// The problem that a JSON decoder found, in a few words.
struct DecodingProblem: CustomStringConvertible {
    let description: String

    init(_ error: any Error) {
        description =
            switch error {
            case DecodingError.keyNotFound(let key, let context):
                "'\(key.stringValue)' is missing" + Self.place(context.codingPath)
            case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
                "a value is not of the right kind" + Self.place(context.codingPath)
            case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
                "a value makes no sense" + Self.place(context.codingPath)
            default: "it is not valid JSON"
            }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return "" }
        return " at " + path.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined().drop { $0 == "." }
    }
}
