package import LeafFormat
package import LeafGeneration
import LeafTokenizer
package import Leafcutter

/// Bodies of answers to `/v1/completions` and `/v1/chat/completions`.
package struct CompletionAnswer {
    private let envelope: OpenAIEnvelope
    /// One for each prompt.
    private let generations: [Generation]
    private let hasLogprobs: Bool
    /// Nil for a model that gives ids only.
    private let tokenizer: Tokenizer?

    /// - Parameters:
    ///   - generations: one for each prompt.
    ///   - hasLogprobs: whether the request asked for log-probabilities.
    package init(_ envelope: OpenAIEnvelope, _ generations: [Generation], hasLogprobs: Bool, _ file: ModelFile) {
        (self.envelope, self.generations, self.hasLogprobs) = (envelope, generations, hasLogprobs)
        tokenizer = file.tokenizer
    }

    /// `{"id","object":"text_completion","created","model","choices","usage"}`
    package var completion: JSON {
        body(prefix: "cmpl-", object: "text_completion") { sample, index in
            [
                "text": .string(sample.text), "index": .integer(index),
                "logprobs": hasLogprobs ? logprobs(of: sample) : .null,
                "finish_reason": .string(sample.finishReason.rawValue),
            ]
        }
    }

    /// `{"id","object":"chat.completion","created","model","choices","usage"}`
    package var chat: JSON {
        body(prefix: "chatcmpl-", object: "chat.completion") { sample, index in
            [
                "index": .integer(index), "message": ["role": "assistant", "content": .string(sample.text)],
                "logprobs": hasLogprobs ? ["content": .array(sample.logprobs.map(chatLogprobs))] : .null,
                "finish_reason": .string(sample.finishReason.rawValue),
            ]
        }
    }

    private func body(
        prefix: String, object: String, choice: (_ sample: Generation.Sample, _ index: Int) -> JSON
    ) -> JSON {
        [
            "id": .string(prefix + envelope.id), "object": .string(object), "created": .integer(envelope.created),
            "model": .string(envelope.model),
            "choices": .array(generations.flatMap(\.samples).enumerated().map { choice($1, $0) }),
            "usage": .usage(
                prompt: generations.reduce(0) { $0 + $1.promptTokens },
                completion: generations.reduce(0) { $0 + $1.completionTokens }),
        ]
    }

    private func token(_ id: Int32) -> String { tokenizer?.token(id) ?? "" }

    /// `{"tokens","token_logprobs","top_logprobs","text_offset"}`; offsets count scalars, as Python does.
    private func logprobs(of sample: Generation.Sample) -> JSON {
        var (offset, offsets): (Int, [JSON]) = (0, [])
        for entry in sample.logprobs {
            offsets.append(.integer(offset))
            offset += token(entry.chosen.id).unicodeScalars.count
        }
        return [
            "tokens": .strings(sample.logprobs.map { token($0.chosen.id) }),
            "token_logprobs": .array(sample.logprobs.map { .number($0.chosen.logprob) }),
            "top_logprobs": .array(
                sample.logprobs.map { entry in
                    .object(entry.top.map { (token($0.id), .number($0.logprob)) })
                }),
            "text_offset": .array(offsets),
        ]
    }

    /// `{"token","logprob","bytes","top_logprobs"}`
    private func chatLogprobs(_ entry: TokenLogprobs) -> JSON {
        func fields(_ entry: TokenLogprobs.Entry) -> [(key: String, value: JSON)] {
            let text = token(entry.id)
            return [
                ("token", .string(text)), ("logprob", .number(entry.logprob)),
                ("bytes", .array(text.utf8.map { .integer(Int($0)) })),
            ]
        }
        return .object(
            fields(entry.chosen) + [("top_logprobs", .array(entry.top.map { .object(fields($0)) }))])
    }
}
