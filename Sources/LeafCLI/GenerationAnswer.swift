import Leafcutter

/// What one generation gave, as JSON.
struct GenerationAnswer {
    let request: GenerationRequest
    let generation: Generation
    let model: Model
    let loadSeconds: Double

    /// - Parameter id: stands in front, for answers that come in any order.
    func json(id: JSONText? = nil) -> JSONText {
        let hasChoices = generation.samples.count > 1 || isBeamSearch
        var object: [(key: String, value: JSONText)] = []
        if let id { object.append(("id", id)) }
        object += fields(generation.samples[0])
        object += [
            ("prompt_tokens", .integer(generation.promptTokens)),
            ("completion_tokens", .integer(generation.completionTokens)), ("seed", .unsigned(generation.seed)),
        ]
        if hasChoices { object.append(("choices", .array(generation.samples.map { .object(fields($0)) }))) }
        if let session { object.append(("session", session)) }
        object += [
            ("timing", timing), ("memory", .memory(model)), ("io", .io(model)),
            (
                "speculation",
                [
                    "drafted": .integer(0), "accepted": .integer(0),
                    "tokens_per_sweep": .number(
                        Double(generation.newTokens) / Double(max(1, generation.sweeps))),
                ]
            ),
        ]
        return .object(object)
    }

    private var isBeamSearch: Bool {
        if case .beams = request.options.decoding { return true }
        return false
    }

    private func fields(_ sample: Generation.Sample) -> [(key: String, value: JSONText)] {
        var fields: [(key: String, value: JSONText)] = [
            ("text", model.tokenizer == nil ? .null : .string(sample.text)), ("ids", .ids(sample.ids)),
            ("finish_reason", .string(sample.finishReason.rawValue)),
        ]
        if let score = sample.score { fields.append(("score", .number(score))) }
        if request.options.logprobs != nil { fields.append(("logprobs", .logprobs(sample.logprobs))) }
        return fields
    }

    /// What was there before, and the size of the file that was saved; 0 if there was nothing new to save.
    private var session: JSONText? {
        request.session.map {
            [
                "path": .string($0.path), "resumed_tokens": .integer(generation.resumedTokens),
                "bytes": .integer($0.savedBytes),
            ]
        }
    }

    private var timing: JSONText {
        let decoded = generation.newTokens - generation.samples.count
        let rate = generation.decodeSeconds > 0 ? Double(max(0, decoded)) / generation.decodeSeconds : 0
        return [
            "load": .number(loadSeconds), "wait": .number(generation.waitSeconds),
            "prefill": .number(generation.prefillSeconds), "decode": .number(generation.decodeSeconds),
            "tokens_per_second": .number(rate), "sweeps": .integer(generation.sweeps),
        ]
    }
}
