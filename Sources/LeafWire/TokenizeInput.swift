package import LeafFormat
package import LeafSystem
package import LeafTokenizer

/// A text to turn into ids: `{"id","text","words"}`; with `words` the words that it is cut into first are wanted.
package struct TokenizeInput: Sendable {
    package var id: RequestID?
    package var text: String
    package var wantsWords: Bool

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(json: ArraySlice<UInt8>) throws(LeafError) {
        var id: RequestID?
        var text: String?
        var words = false
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.tokenize.check(&reader)
            case "id": id = try RequestID(&reader)
            case "text": text = try reader.text()
            case "words": words = try reader.bool()
            default: throw JSONReader.unknown(name, among: ["id", "text", "words"])
            }
        }
        guard let text else { throw LeafError.field("text", "is missing") }
        (self.id, self.text, wantsWords) = (id, text, words)
    }

    package init(_ text: String, wantsWords: Bool) { (self.text, self.wantsWords) = (text, wantsWords) }

    /// `{"ids","tokens"}`, or `{"words"}`; with `unknown` where the vocabulary lacks something.
    package func answer(_ tokenizer: Tokenizer) -> JSON {
        var fields: [(key: String, value: JSON)] = id.map { [("id", $0.json)] } ?? []
        var unknown = UnknownCharacters()
        let ids = tokenizer.encode(text, noting: &unknown)
        if wantsWords {
            fields.append(("words", .strings(tokenizer.words(text))))
        } else {
            fields += [("ids", .ids(ids)), ("tokens", .strings(ids.map { tokenizer.token($0) ?? "" }))]
        }
        return .object(fields + unknown.fields)
    }
}

/// Ids to turn into a text: `{"id","ids"}`.
package struct DetokenizeInput: Sendable {
    package var id: RequestID?
    package var ids: [Int32]

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(json: ArraySlice<UInt8>) throws(LeafError) {
        var id: RequestID?
        var ids: [Int32]?
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.detokenize.check(&reader)
            case "id": id = try RequestID(&reader)
            case "ids": ids = try reader.integers()
            default: throw JSONReader.unknown(name, among: ["id", "ids"])
            }
        }
        guard let ids else { throw LeafError.field("ids", "is missing") }
        (self.id, self.ids) = (id, ids)
    }

    package init(_ ids: [Int32]) { self.ids = ids }

    /// `{"ids","text"}`
    ///
    /// - Throws: `.badInput` for an id that is not in the vocabulary.
    package func answer(_ tokenizer: Tokenizer) throws(LeafError) -> JSON {
        .object(
            (id.map { [("id", $0.json)] } ?? [])
                + [("ids", .ids(ids)), ("text", .string(try text(tokenizer)))])
    }

    /// - Throws: `.badInput` for an id that is not in the vocabulary, a negative one too: the tokenizer itself drops
    ///   those, as CPM-Live does, which hides a mistake.
    package func text(_ tokenizer: Tokenizer) throws(LeafError) -> String {
        if let id = ids.first(where: { $0 < 0 }) {
            throw LeafError(.badInput, "id \(id) is not in the vocabulary; ids begin at 0")
        }
        return try tokenizer.decode(ids)
    }
}
