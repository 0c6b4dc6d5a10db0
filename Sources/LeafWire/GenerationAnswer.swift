package import LeafFormat
package import LeafGeneration
import LeafTokenizer
package import Leafcutter

/// The answer to one generation, as JSON.
package struct GenerationAnswer {
    private let request: GenerationRequest
    private let generation: Generation
    private let model: Model
    private let loadSeconds: Double?

    /// - Parameter loadSeconds: nil for one of many answers, which leave the facts of the process to a summary.
    package init(_ request: GenerationRequest, _ generation: Generation, _ model: Model, loadSeconds: Double?) {
        (self.request, self.generation, self.model, self.loadSeconds) = (request, generation, model, loadSeconds)
    }

    /// - Parameters:
    ///   - id: the first field, for answers that come in any order.
    ///   - prompt: stands behind it, where the request is to be seen beside its answer.
    package func json(id: JSON? = nil, echoing prompt: Prompt? = nil) -> JSON {
        .object(result(id: id, echoing: prompt) + run)
    }

    /// What the request and its seed decide: the same bytes whenever and wherever it is answered.
    ///
    /// - Parameter id: the first field.
    package func result(id: JSON? = nil, echoing prompt: Prompt? = nil) -> [(key: String, value: JSON)] {
        let hasChoices = generation.samples.count > 1 || isBeamSearch
        var object: [(key: String, value: JSON)] = []
        if let id { object.append(("id", id)) }
        if let prompt { object.append(prompt.field("prompt")) }
        object += fields(generation.samples[0])
        object += [
            ("prompt_tokens", .integer(generation.promptTokens)),
            ("completion_tokens", .integer(generation.completionTokens)), ("seed", .unsigned(generation.seed)),
        ]
        object += request.prompt.unknown.fields
        if hasChoices { object.append(("choices", .array(generation.samples.map { .object(fields($0)) }))) }
        return object
    }

    /// Of what `result` consists.
    package static let shape: ValueShape = {
        let sample: [String: ValueShape] = ["text": .orNull(.text), "ids": .list(.count), "finish_reason": .text]
        let entry: [String: ValueShape] = ["id": .count, "logprob": .number]
        let token = entry.merging(["top": .list(.object(entry))]) { $1 }
        let possible: [String: ValueShape] = ["score": .number, "logprobs": .list(.object(token))]
        let counts: [String: ValueShape] = [
            "id": .id, "prompt_tokens": .count, "completion_tokens": .count, "seed": .count,
        ]
        let choices = ValueShape.list(.object(sample, possible: possible))
        return .object(
            sample.merging(counts) { $1 },
            possible: possible.merging(["choices": choices]) { $1 }.merging(UnknownCharacters.shape) { $1 })
    }()

    /// What this run took.
    private var run: [(key: String, value: JSON)] {
        (session.map { [("session", $0)] } ?? []) + [("timing", timing)]
            + (loadSeconds == nil ? [] : [("memory", .memory(model)), ("io", .io(model))]) + [
                ("speculation", DraftTally(generation).json(model, hasSeconds: loadSeconds != nil))
            ]
    }

    private var isBeamSearch: Bool {
        if case .beams = request.options.decoding { return true }
        return false
    }

    private func fields(_ sample: Generation.Sample) -> [(key: String, value: JSON)] {
        var fields: [(key: String, value: JSON)] = [
            ("text", model.tokenizer == nil ? .null : .string(sample.text)), ("ids", .ids(sample.ids)),
            ("finish_reason", .string(sample.finishReason.rawValue)),
        ]
        if let score = sample.score { fields.append(("score", .number(score))) }
        if request.options.logprobs != nil { fields.append(("logprobs", .logprobs(sample.logprobs))) }
        return fields
    }

    /// The tokens that a session had before, and the bytes that were saved; 0 if nothing new was saved.
    private var session: JSON? {
        request.session.map {
            [
                "path": .string($0.path), "resumed_tokens": .integer(generation.resumedTokens),
                "bytes": .integer($0.savedBytes),
            ]
        }
    }

    private var timing: JSON {
        .timing(
            load: loadSeconds, wait: generation.waitSeconds, prefill: generation.prefillSeconds,
            decode: generation.decodeSeconds, decoded: generation.newTokens - generation.samples.count,
            sweeps: generation.sweeps)
    }
}
