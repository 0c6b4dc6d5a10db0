package import LeafFormat
package import LeafGeneration
package import LeafSystem
package import Leafcutter

/// The body of a request to `/v1/embeddings`: texts to turn into vectors.
package struct EmbeddingsInput: Sendable {
    /// How the numbers of a vector are written.
    package enum Encoding: String, Sendable {
        case float
        /// Of float32, the low byte first.
        case base64
    }

    package let model: String?
    package let texts: [Prompt]
    package let ignored: UnknownFields
    package let encoding: Encoding
    private let defaults: EmbedInput.Defaults

    /// - Parameter reader: stands before the body.
    /// - Throws: `.usage` naming the field that makes no sense.
    package init(
        _ reader: inout JSONReader, _ given: EmbedInput.Defaults = EmbedInput.Defaults(), at door: RequestDoor = .line
    ) throws(LeafError) {
        var defaults = given
        var (model, texts): (String?, [Prompt]?)
        var encoding = Encoding.float
        var ignored = UnknownFields()
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "model": model = try reader.text()
            case "input": texts = try OpenAITexts.read(&reader).map(\.prompt)
            case "encoding_format":
                let name = try reader.text()
                guard let known = Encoding(rawValue: name) else {
                    throw reader.wrong("is '\(name.prefix(40))', not float or base64")
                }
                encoding = known
            case "pool":
                let name = try reader.text()
                guard let known = Pooling(rawValue: name), known != .none else {
                    throw reader.wrong("is '\(name.prefix(40))', not mean or last")
                }
                defaults.pooling = known
            case "normalize": defaults.isNormalized = try reader.bool()
            case _ where OptionFields.form.contains(name):
                try OptionFields.read(name, &reader, into: &defaults.form, known: OptionFields.form)
            case _ where door == .server: try ignored.pass(name, &reader)
            default: try UnknownFields.drop(name, &reader)
            }
        }
        guard let texts else { throw LeafError.field("input", "is missing") }
        (self.model, self.texts, self.encoding, self.defaults) = (model, texts, encoding, defaults)
        self.ignored = ignored
    }

    /// One for each text.
    ///
    /// - Throws: `.usage` for what makes no sense with this model.
    package func requests(for file: ModelFile) throws(LeafError) -> [EmbeddingRequest] {
        var requests: [EmbeddingRequest] = []
        for text in texts { requests.append(try EmbedInput(text, defaults).request(for: file)) }
        return requests
    }

    /// `{"object":"list","data","model","usage"}`
    ///
    /// - Parameters:
    ///   - vectors: one for each text.
    ///   - tokens: of all texts, `<s>` among them.
    ///   - name: of the model, where the request gives none.
    package func answer(
        _ vectors: [[Float]], tokens: Int, model name: String = OpenAIEnvelope.usualModel
    ) -> JSON {
        [
            "object": "list",
            "data": .array(
                vectors.enumerated().map { index, given in
                    let vector = floats(of: given)
                    return [
                        "object": "embedding", "index": .integer(index),
                        "embedding": encoding == .base64
                            ? .string(Base64.text(of: vector)) : .array(vector.map { .number(Double($0)) }),
                    ]
                }),
            "model": .string(model ?? name),
            "usage": ["prompt_tokens": .integer(tokens), "total_tokens": .integer(tokens)],
        ]
    }

    private func floats(of vector: [Float]) -> [Float] {
        guard defaults.isNormalized else { return vector }
        return EmbeddingAnswer.normalized(vector, width: vector.count).map { Float($0) }
    }

    /// Of what `answer` consists.
    package var answerShape: ValueShape {
        .object([
            "object": .text, "model": .text,
            "data": .list(
                .object([
                    "object": .text, "index": .count, "embedding": encoding == .base64 ? .text : .list(.number),
                ])), "usage": .object(["prompt_tokens": .count, "total_tokens": .count]),
        ])
    }
}

/// Bytes as text, four characters for three of them.
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Of numbers, the low byte of each first.
    static func text(of numbers: [Float]) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * numbers.count)
        for number in numbers { withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes += $0 } }
        return text(of: bytes)
    }

    static func text(of bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for begin in stride(from: 0, to: bytes.count, by: 3) {
            let three = bytes[begin..<min(begin + 3, bytes.count)]
            var bits = three.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - three.count))
            var four: [UInt8] = []
            for _ in 0..<4 {
                four.append(digits[bits & 63])
                bits >>= 6
            }
            four.reverse()
            text += four.prefix(three.count + 1)
            text += Array(repeating: UInt8(ascii: "="), count: 3 - three.count)
        }
        return String(decoding: text, as: UTF8.self)
    }
}
