package import LeafFormat
package import LeafGeneration
package import LeafSystem
import LeafTokenizer
package import Leafcutter

/// A text to turn into a vector: `{"id","text" or "input_ids","pool","normalize"}`, with `task`, `segment`, `delta` and
/// `prompt_embedding`.
package struct EmbedInput: Sendable {
    /// What holds for texts that say nothing about it.
    package struct Defaults: Sendable {
        /// Soft prompt, segment and adapter.
        package var form: GenerationOptions
        package var pooling: Pooling
        package var isNormalized: Bool

        package init(
            form: GenerationOptions = GenerationOptions(), pooling: Pooling = .mean, isNormalized: Bool = false
        ) {
            self.form = form
            self.pooling = pooling
            self.isNormalized = isNormalized
        }
    }

    package var id: RequestID?
    package var text: Prompt
    package var form: GenerationOptions
    package var pooling: Pooling
    /// Whether vectors are divided by their lengths.
    package var isNormalized: Bool

    private static let names = ["id", "text", "input_ids", "pool", "normalize"] + OptionFields.form

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(json: ArraySlice<UInt8>, _ defaults: Defaults = Defaults()) throws(LeafError) {
        var (form, pooling, isNormalized) = (defaults.form, defaults.pooling, defaults.isNormalized)
        var id: RequestID?
        var text: String?
        var ids: [Int32]?
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.embed.check(&reader)
            case "id": id = try RequestID(&reader)
            case "text": text = try reader.text()
            case "input_ids": ids = try reader.integers()
            case "pool":
                let name = try reader.text()
                guard let known = Pooling(rawValue: name) else {
                    throw reader.wrong("is '\(name.prefix(40))', not mean, last or none")
                }
                pooling = known
            case "normalize": isNormalized = try reader.bool()
            case _ where OptionFields.form.contains(name):
                try OptionFields.read(name, &reader, into: &form, known: OptionFields.form)
            default: throw JSONReader.unknown(name, among: Self.names)
            }
        }
        self.text = try Prompt(text: text, "text", ids: ids)
        (self.id, self.form, self.pooling, self.isNormalized) = (id, form, pooling, isNormalized)
    }

    package init(_ text: Prompt, _ defaults: Defaults) {
        self.text = text
        (form, pooling, isNormalized) = (defaults.form, defaults.pooling, defaults.isNormalized)
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    package func request(for file: ModelFile) throws(LeafError) -> EmbeddingRequest {
        let request = EmbeddingRequest(text: try file.rows(of: text, form), pooling: pooling)
        try request.validate(for: file.configuration)
        return request
    }
}

/// `{"embedding","tokens"}`
package struct EmbeddingAnswer {
    private let request: EmbeddingRequest
    private let numbers: [Double]

    /// - Parameter isNormalized: whether each vector is divided by its length, so that the product of two is their
    ///   cosine.
    package init(_ request: EmbeddingRequest, _ vector: [Float], isNormalized: Bool = false) {
        self.request = request
        let width = request.pooling == .none ? vector.count / request.text.ids.count : vector.count
        numbers = isNormalized ? Self.normalized(vector, width: width) : vector.map { Double($0) }
    }

    /// Divides each vector by its length.
    ///
    /// - Parameter width: of a vector; they stand one behind the other.
    static func normalized(_ vectors: [Float], width: Int) -> [Double] {
        var numbers = vectors.map { Double($0) }
        for begin in stride(from: 0, to: numbers.count, by: max(1, width)) {
            let range = begin..<begin + width
            let length = numbers[range].reduce(0) { $0 + $1 * $1 }.squareRoot()
            // What has no length stays as it is.
            if length > 0 { for index in range { numbers[index] /= length } }
        }
        return numbers
    }

    /// The vector, or those of all tokens one behind the other.
    package var floats: [Float] { numbers.map { Float($0) } }

    /// Of what it consists.
    package static func shape(_ pooling: Pooling) -> ValueShape {
        let vector = ValueShape.list(.number)
        return .object(
            ["id": .id, "embedding": pooling == .none ? .list(vector) : vector, "tokens": .count],
            possible: UnknownCharacters.shape)
    }

    /// - Parameters:
    ///   - id: stands in front.
    ///   - text: stands behind it, where it is to be seen beside its vector.
    package func json(id: JSON? = nil, echoing text: Prompt? = nil) -> JSON {
        let tokens = request.text.ids.count
        let width = numbers.count / tokens
        func vector(_ numbers: ArraySlice<Double>) -> JSON { .array(numbers.map { .number($0) }) }
        let embedding =
            request.pooling == .none
            ? JSON.array((0..<tokens).map { vector(numbers[$0 * width..<($0 + 1) * width]) }) : vector(numbers[...])
        return .object(
            (id.map { [("id", $0)] } ?? []) + (text.map { [$0.field("text")] } ?? [])
                + [("embedding", embedding), ("tokens", .integer(tokens))] + request.text.unknown.fields)
    }
}
