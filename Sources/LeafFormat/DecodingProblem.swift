/// What a decoder of JSON met, in the words of `JSONReader`: `'num_heads' is missing`.
struct DecodingProblem: CustomStringConvertible {
    let description: String

    init(_ error: any Error) {
        description =
            switch error {
            case DecodingError.keyNotFound(let key, let context):
                "\(Self.name(context.codingPath + [key])) is missing"
            case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
                "\(Self.name(context.codingPath)) is not of the right kind"
            case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
                "\(Self.name(context.codingPath)) makes no sense"
            // The text is JSON, and the decoder does not say where it stopped.
            default: "one of its numbers is too large, or not whole where it should be"
            }
    }

    /// `'layers[2].heads'`
    private static func name(_ path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return "the value" }
        let text = path.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return "'\(text.drop { $0 == "." })'"
    }
}
