package import LeafFormat
package import LeafGeneration
import LeafTokenizer
package import Leafcutter

/// Bodies of answers to `/v1/completions` and `/v1/chat/completions` of a job.
package struct CompletionAnswer {
    private let envelope: OpenAIEnvelope
    /// One for each prompt.
    private let generations: [Generation]
    private let hasLogprobs: Bool
    private let logprobs: OpenAILogprobs

    /// - Parameters:
    ///   - generations: one for each prompt.
    ///   - hasLogprobs: whether the request asked for log-probabilities.
    package init(_ envelope: OpenAIEnvelope, _ generations: [Generation], hasLogprobs: Bool, _ file: ModelFile) {
        (self.envelope, self.generations, self.hasLogprobs) = (envelope, generations, hasLogprobs)
        logprobs = OpenAILogprobs(file.tokenizer, .line)
    }

    /// `{"id","object":"text_completion","created","model","choices","usage"}`
    package var completion: JSON {
        body(prefix: "cmpl-", object: "text_completion") { sample, index in
            [
                "text": .string(sample.text), "index": .integer(index),
                "logprobs": hasLogprobs ? logprobs.completion(logprobs.tokens(sample.logprobs)) : .null,
                "finish_reason": .string(sample.finishReason.rawValue),
            ]
        }
    }

    /// `{"id","object":"chat.completion","created","model","choices","usage"}`
    package var chat: JSON {
        body(prefix: "chatcmpl-", object: "chat.completion") { sample, index in
            [
                "index": .integer(index), "message": ["role": "assistant", "content": .string(sample.text)],
                "logprobs": hasLogprobs ? logprobs.chat(sample.logprobs) : .null,
                "finish_reason": .string(sample.finishReason.rawValue),
            ]
        }
    }

    /// Of what `completion` consists.
    package static let completionShape = shape(
        choice: [
            "text": .text, "index": .count, "logprobs": .orNull(OpenAILogprobs.completionShape), "finish_reason": .text,
        ])

    /// Of what `chat` consists.
    package static let chatShape = shape(
        choice: [
            "index": .count, "message": .object(["role": .text, "content": .text]),
            "logprobs": .orNull(OpenAILogprobs.chatShape), "finish_reason": .text,
        ])

    private static func shape(choice: [String: ValueShape]) -> ValueShape {
        .object([
            "id": .text, "object": .text, "created": .count, "model": .text, "choices": .list(.object(choice)),
            "usage": .object(["prompt_tokens": .count, "completion_tokens": .count, "total_tokens": .count]),
        ])
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
}
