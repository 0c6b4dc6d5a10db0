/// What a decoder of JSON met, in the words of `JSONReader`: `'num_heads' is missing`.
struct DecodingProblem: CustomStringConvertible {
    let description: String

    init(_ error: any Error) {
        description =
            switch error {
            case DecodingError.keyNotFound(let key, let context):
                "\(Self.name(context.codingPath + [key])) is missing"
            case DecodingError.typeMismatch(let type, let context):
                "\(Self.name(context.codingPath)) is \(Self.lack(of: type))"
            case DecodingError.valueNotFound(let type, let context):
                "\(Self.name(context.codingPath)) is null, which is \(Self.lack(of: type))"
            case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
                "\(Self.name(context.codingPath)) makes no sense"
            // The text is JSON, and the decoder does not say where it stopped.
            default: "one of its numbers is too large, or not whole where it should be"
            }
    }

    /// What a value is not that should be of a type.
    private static func lack(of type: any Any.Type) -> String {
        switch "\(type)" {
        case let name where name.hasPrefix("Array"): "no list"
        case let name where name.hasPrefix("Dictionary"): "no object"
        case "String": "no text"
        case "Bool": "neither true nor false"
        case let name where ["Int", "UInt", "Double", "Float"].contains { name.hasPrefix($0) }: "no number"
        default: "not of the right kind"
        }
    }

    /// `'layers[2].heads'`
    private static func name(_ path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return "the value" }
        let text = path.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return "'\(text.drop { $0 == "." })'"
    }
}
