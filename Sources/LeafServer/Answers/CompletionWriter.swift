import LeafFormat
import LeafGeneration
import LeafWire

/// Writes the answers to `/v1/completions` and `/v1/chat/completions`, whole and in chunks.
struct CompletionWriter: Sendable {
    let isChat: Bool
    let envelope: OpenAIEnvelope
    let seed: UInt64
    let form: OpenAIForm
    let hasLogprobs: Bool
    let tokens: OpenAILogprobs

    /// A token of a text that is under way, or text that was held back.
    struct Piece: Sendable {
        let sample: Int
        let id: Int32?
        let text: String
        let logprobs: TokenLogprobs?
    }

    // MARK: Whole answers

    /// - Parameters:
    ///   - choices: `choice`s, in their order.
    ///   - prompts: their ids as the model saw them.
    func answer(_ choices: [JSON], usage: JSON, prompts: [[Int32]]) -> JSON {
        .object(
            head(isChat ? "chat.completion" : "text_completion", choices) + [("usage", usage)] + tail(prompts))
    }

    /// - Parameter echo: the prompt in front of the text, with its tokens where log-probabilities are wanted.
    func choice(
        _ sample: Generation.Sample, index: Int, echo: (text: String, length: Int, tokens: [OpenAILogprobs.Token])?
    ) -> JSON {
        let finish = JSON.string(sample.finishReason.rawValue)
        guard isChat else {
            let shown = (echo?.tokens ?? []) + tokens.tokens(sample.logprobs, from: echo?.length ?? 0)
            return .object(
                [
                    ("text", .string((echo?.text ?? "") + sample.text)), ("index", .integer(index)),
                    ("logprobs", hasLogprobs ? tokens.completion(shown) : .null), ("finish_reason", finish),
                ] + own(sample.score, sample.ids))
        }
        return .object(
            [
                ("index", .integer(index)),
                ("message", ["role": "assistant", "content": .string(sample.text)]),
                ("logprobs", hasLogprobs ? tokens.chat(sample.logprobs) : .null), ("finish_reason", finish),
            ] + own(sample.score, sample.ids))
    }

    // MARK: Chunks

    /// The first chunk of a choice; nil if nothing has to be said before its first token.
    ///
    /// - Parameter prompts: of all prompts their ids as the model saw them, in the very first chunk.
    func opening(
        index: Int, echo: (text: String, tokens: [OpenAILogprobs.Token])?, prompts: [[Int32]]
    ) -> JSON? {
        if isChat { return chunk(index, ["role": "assistant", "content": ""], ids: [], prompts: prompts) }
        guard echo != nil || (form.returnsTokenIDs && !prompts.isEmpty) else { return nil }
        return chunk(
            index, .string(echo?.text ?? ""), hasLogprobs ? echo.map { tokens.completion($0.tokens) } : nil, ids: [],
            prompts: prompts)
    }

    /// - Parameter offset: of the piece in its text.
    /// - Returns: nil if it shows nothing.
    func chunk(_ piece: Piece, index: Int, offset: Int) -> JSON? {
        let probabilities = hasLogprobs ? piece.logprobs.map { logprobs($0, offset) } : nil
        guard !piece.text.isEmpty || probabilities != nil || form.returnsTokenIDs else { return nil }
        return chunk(
            index, isChat ? ["content": .string(piece.text)] : .string(piece.text), probabilities,
            ids: piece.id.map { [$0] } ?? [])
    }

    private func logprobs(_ entry: TokenLogprobs, _ offset: Int) -> JSON {
        isChat ? tokens.chat([entry]) : tokens.completion(tokens.tokens([entry], from: offset))
    }

    /// The last chunk of a choice.
    func closing(_ sample: Generation.Sample, index: Int) -> JSON {
        chunk(index, isChat ? [:] : "", finish: sample.finishReason, score: sample.score, ids: [])
    }

    /// The chunk with the counts of tokens.
    func closing(usage: JSON) -> JSON {
        .object(head(chunkObject, []) + [("usage", usage)] + tail([]))
    }

    /// The tokens of a text that came whole.
    func pieces(of sample: Generation.Sample) -> [Piece] {
        sample.logprobs.map { entry in
            Piece(sample: 0, id: entry.chosen.id, text: tokens.text(of: entry.chosen.id), logprobs: entry)
        }
    }

    /// Characters of a token, as offsets count them.
    func length(of id: Int32) -> Int { tokens.text(of: id).unicodeScalars.count }

    private var chunkObject: String { isChat ? "chat.completion.chunk" : "text_completion" }

    private func chunk(
        _ index: Int, _ content: JSON, _ logprobs: JSON? = nil, finish: FinishReason? = nil, score: Double? = nil,
        ids: [Int32], prompts: [[Int32]] = []
    ) -> JSON {
        let choice: [(key: String, value: JSON)] = [
            ("index", .integer(index)), (isChat ? "delta" : "text", content), ("logprobs", logprobs ?? .null),
            ("finish_reason", finish.map { .string($0.rawValue) } ?? .null),
        ]
        return .object(
            head(chunkObject, [.object(choice + own(score, ids))])
                + (form.includesUsage ? [("usage", .null)] : []) + tail(prompts))
    }

    // MARK: Around choices

    private func head(_ object: String, _ choices: [JSON]) -> [(key: String, value: JSON)] {
        [
            ("id", .string((isChat ? "chatcmpl-" : "cmpl-") + envelope.id)), ("object", .string(object)),
            ("created", .integer(envelope.created)), ("model", .string(envelope.model)),
            ("choices", .array(choices)),
        ]
    }

    /// Fields of ours.
    private func tail(_ prompts: [[Int32]]) -> [(key: String, value: JSON)] {
        var fields: [(key: String, value: JSON)] = [("seed", .unsigned(seed))]
        if form.returnsTokenIDs, let first = prompts.first {
            fields.append(("prompt_token_ids", prompts.count == 1 ? .ids(first) : .array(prompts.map { .ids($0) })))
        }
        return fields
    }

    private func own(_ score: Double?, _ ids: [Int32]) -> [(key: String, value: JSON)] {
        (score.map { [("score", .number($0))] } ?? []) + (form.returnsTokenIDs ? [("token_ids", .ids(ids))] : [])
    }
}
