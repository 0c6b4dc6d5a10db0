package import LeafFormat
package import LeafGeneration
package import LeafTokenizer

/// Writes the log-probabilities of tokens in the two shapes that OpenAI has for them.
package struct OpenAILogprobs: Sendable {
    /// A token of a text.
    package struct Token: Sendable, Equatable {
        package let id: Int32
        /// Where it begins in its text, in Unicode scalars, as Python counts.
        package let offset: Int
        /// Nil for the first of a text, which nothing predicts.
        package let logprobs: TokenLogprobs?

        package init(id: Int32, offset: Int, logprobs: TokenLogprobs?) {
            (self.id, self.offset, self.logprobs) = (id, offset, logprobs)
        }
    }

    /// Log-probabilities of other tokens at most, as with OpenAI.
    package static let most = 20

    /// Nil for a model that gives ids only.
    private let tokenizer: Tokenizer?
    private let door: RequestDoor
    private let hasIDs: Bool

    /// - Parameters:
    ///   - door: over HTTP a token stands among the most likely ones even if it is none of them, so that a client which
    ///     compares the numbers finds its own.
    ///   - hasIDs: whether the ids of the most likely ones stand beside them.
    package init(_ tokenizer: Tokenizer?, _ door: RequestDoor, hasIDs: Bool = false) {
        (self.tokenizer, self.door, self.hasIDs) = (tokenizer, door, hasIDs)
    }

    /// The text of a token by which a client knows it.
    package func text(of id: Int32) -> String {
        // A key that no other token has.
        tokenizer?.token(id) ?? (door == .server ? "token_id:\(id)" : "")
    }

    /// Tokens one behind the other.
    ///
    /// - Parameter offset: of the first.
    package func tokens(_ entries: [TokenLogprobs], from offset: Int = 0) -> [Token] {
        var offset = offset
        return entries.map { entry in
            defer { offset += text(of: entry.chosen.id).unicodeScalars.count }
            return Token(id: entry.chosen.id, offset: offset, logprobs: entry)
        }
    }

    /// `{"tokens","token_logprobs","top_logprobs","text_offset"}`, and `top_ids` where ids are wanted.
    package func completion(_ tokens: [Token]) -> JSON {
        let top = tokens.map { $0.logprobs.map(top(of:)) }
        let ids: [(key: String, value: JSON)] =
            hasIDs ? [("top_ids", .array(top.map { $0.map { .ids($0.map(\.id)) } ?? .null }))] : []
        return .object(
            [
                ("tokens", .strings(tokens.map { text(of: $0.id) })),
                ("token_logprobs", .array(tokens.map { $0.logprobs.map { .number($0.chosen.logprob) } ?? .null })),
                (
                    "top_logprobs",
                    .array(
                        top.map { entries in
                            entries.map { .object($0.map { (text(of: $0.id), .number($0.logprob)) }) } ?? .null
                        })
                ),
            ] + ids + [("text_offset", .array(tokens.map { .integer($0.offset) }))])
    }

    /// `{"content":[{"token","logprob","bytes","top_logprobs"}]}`, and `id` and `top_ids` where ids are wanted.
    package func chat(_ entries: [TokenLogprobs]) -> JSON {
        ["content": .array(entries.map(chat(_:)))]
    }

    /// Of what `completion` consists without ids.
    static let completionShape = ValueShape.object([
        "tokens": .list(.text), "token_logprobs": .list(.number), "top_logprobs": .list(.orNull(.table(.number))),
        "text_offset": .list(.count),
    ])

    /// Of what `chat` consists without ids.
    static let chatShape: ValueShape = {
        let entry: [String: ValueShape] = ["token": .text, "logprob": .number, "bytes": .list(.count)]
        let token = entry.merging(["top_logprobs": .list(.object(entry))]) { $1 }
        return .object(["content": .list(.object(token))])
    }()

    private func chat(_ entry: TokenLogprobs) -> JSON {
        func fields(_ entry: TokenLogprobs.Entry) -> [(key: String, value: JSON)] {
            let text = text(of: entry.id)
            return [
                ("token", .string(text)), ("logprob", .number(entry.logprob)),
                ("bytes", .array(text.utf8.map { .integer(Int($0)) })),
            ]
        }
        let ids: [(key: String, value: JSON)] = hasIDs ? [("top_ids", .ids(entry.top.map(\.id)))] : []
        return .object(
            fields(entry.chosen) + ids + [("top_logprobs", .array(entry.top.map { .object(fields($0)) }))])
    }

    private func top(of entry: TokenLogprobs) -> [TokenLogprobs.Entry] {
        let isThere = door == .line || entry.top.contains { $0.id == entry.chosen.id }
        return isThere ? entry.top : entry.top + [entry.chosen]
    }
}
