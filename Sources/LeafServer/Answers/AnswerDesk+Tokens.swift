package import LeafFormat
import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter

/// Texts to ids and back, as remote tokenizers ask for it. What needs no sweep is answered at once.
extension AnswerDesk {
    /// `{"prompt" or "content","add_special_tokens"}`
    ///
    /// - Throws: `.usage`.
    func tokenize(_ body: ArraySlice<UInt8>) throws(LeafError) -> ServedRequest {
        var text: String?
        var addsBegin = false
        var ignored = UnknownFields()
        var reader = JSONReader(body)
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "prompt", "content": text = try reader.text()
            case "add_special_tokens", "add_special": addsBegin = try reader.bool()
            default: try ignored.pass(name, &reader)
            }
        }
        try reader.end()
        guard let text else { throw LeafError.field("prompt", "is missing, a text") }
        let tokenizer = try requireTokenizer()
        // Clients learn the id of the token that ends a text from its name, which is no token inside of a text.
        let special = Self.specialTokens.first { $0.text == text }
        var unknown = UnknownCharacters()
        let known = special.map { [$0.id] } ?? tokenizer.encode(text, noting: &unknown)
        let ids = (addsBegin ? [Tokenizer.bosID] : []) + known
        let limit = longestText
        return try served(at: body.count, ignored, unknown: unknown.count) { [unknown] in
            .object(
                [("tokens", .ids(ids)), ("count", .integer(ids.count)), ("max_model_len", .integer(limit))]
                    + unknown.fields)
        }
    }

    /// `{"tokens"}`
    ///
    /// - Throws: `.usage`, for ids outside the vocabulary as well.
    func detokenize(_ body: ArraySlice<UInt8>) throws(LeafError) -> ServedRequest {
        var ids: [Int32]?
        var ignored = UnknownFields()
        var reader = JSONReader(body)
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "tokens": ids = try reader.integers()
            default: try ignored.pass(name, &reader)
            }
        }
        try reader.end()
        guard let ids else { throw LeafError.field("tokens", "is missing, a list of ids") }
        let tokenizer = try requireTokenizer()
        let size = file.configuration.vocabSize
        if let id = ids.first(where: { $0 < 0 || Int($0) >= size || tokenizer.token($0) == nil }) {
            throw LeafError.field("tokens", "holds \(id), which is not in the vocabulary (0 to \(size - 1))")
        }
        let text = try tokenizer.decode(ids)
        return try served(at: body.count, ignored) { ["prompt": .string(text), "content": .string(text)] }
    }

    /// `GET /tokenizer_info`
    package var tokenizerInfo: JSON {
        .object(
            Self.specialTokens.map { ("\($0.name)_token", .string($0.text)) } + [
                ("add_bos_token", .bool(true)), ("add_eos_token", .bool(false)), ("chat_template", .null),
                ("tokenizer_class", "CpmAntTokenizer"), ("vocab_size", .integer(file.configuration.vocabSize)),
                ("model_max_length", .integer(longestText)),
            ])
    }

    /// Tokens of a text and its answer together. Clients count no rows of the soft prompt.
    private var longestText: Int { max(0, capacity.longest - file.configuration.promptLength) }

    private static var specialTokens: [(name: String, text: String, id: Int32)] {
        [
            ("bos", "<s>", Tokenizer.bosID), ("eos", "</s>", Tokenizer.eosID), ("pad", "<pad>", 0),
            ("unk", "<unk>", Tokenizer.unknownID),
        ]
    }

    private func requireTokenizer() throws(LeafError) -> Tokenizer {
        guard let tokenizer = file.tokenizer else {
            throw LeafError(.usage, "the model has no vocabulary; give ids and take ids")
        }
        return tokenizer
    }

    /// Each byte of a body may become a token, and a number of the answer.
    private func served(
        at bodyBytes: Int, _ ignored: UnknownFields, unknown: Int = 0, _ answer: @escaping @Sendable () -> JSON
    ) throws(LeafError) -> ServedRequest {
        let room = AnswerRoom(held: Self.bytesOfAny +| 8 *| bodyBytes, written: Self.bytesOfAny +| 64 *| bodyBytes)
        return try served([], isStream: false, ignored: ignored, unknown: unknown, room) { _, _, tell in
            tell(.finished(.success(answer())))
        }
    }
}
