package import LeafFormat
package import LeafGeneration
package import LeafSystem
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
    private let vector: [Float]
    private let pooling: Pooling
    private let isNormalized: Bool
    private let tokens: Int

    /// - Parameters:
    ///   - isNormalized: whether each vector is divided by its length, so that the product of two is their cosine.
    ///   - tokens: of the text, `<s>` among them.
    package init(_ vector: [Float], pooling: Pooling, isNormalized: Bool = false, tokens: Int) {
        (self.vector, self.pooling, self.isNormalized, self.tokens) = (vector, pooling, isNormalized, tokens)
    }

    /// Of what it consists.
    package static func shape(_ pooling: Pooling) -> ValueShape {
        let vector = ValueShape.list(.number)
        return .object(["id": .id, "embedding": pooling == .none ? .list(vector) : vector, "tokens": .count])
    }

    /// - Parameters:
    ///   - id: stands in front.
    ///   - text: stands behind it, where it is to be seen beside its vector.
    package func json(id: JSON? = nil, echoing text: Prompt? = nil) -> JSON {
        let width = vector.count / tokens
        func numbers(_ values: ArraySlice<Float>) -> JSON {
            // What has no length stays as it is.
            let length = isNormalized ? values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() : 1
            return .array(values.map { .number(Double($0) / (length > 0 ? length : 1)) })
        }
        let embedding =
            pooling == .none
            ? JSON.array((0..<tokens).map { numbers(vector[$0 * width..<($0 + 1) * width]) }) : numbers(vector[...])
        return .object(
            (id.map { [("id", $0)] } ?? []) + (text.map { [$0.field("text")] } ?? [])
                + [("embedding", embedding), ("tokens", .integer(tokens))])
    }
}
