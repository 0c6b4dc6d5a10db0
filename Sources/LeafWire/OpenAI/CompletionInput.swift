package import LeafFormat
package import LeafGeneration
package import LeafSystem
package import Leafcutter

/// The body of a request to `/v1/completions`: texts to continue.
package struct CompletionInput: Sendable {
    package let model: String?
    package let texts: [OpenAIText]
    package let options: GenerationOptions
    /// Continuations of each prompt, and how many of them, the best ones, are given.
    package let samples: Int
    package let choices: Int
    /// Whether nothing is generated: the prompt alone is wanted.
    package let isEmpty: Bool
    package let form: OpenAIForm

    package var prompts: [Prompt] { texts.map(\.prompt) }

    /// OpenAI's number where a request gives none.
    private static let usualMaxTokens = 16

    /// - Parameter reader: stands before the body.
    /// - Throws: `.usage` naming the field that makes no sense.
    package init(
        _ reader: inout JSONReader, _ defaults: GenerateInput.Defaults = GenerateInput.Defaults(),
        at door: RequestDoor = .line
    ) throws(LeafError) {
        var fields = OpenAIFields(defaults, door)
        fields.set(maxTokens: Self.usualMaxTokens)
        var texts: [OpenAIText]?
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "prompt": texts = try OpenAITexts.read(&reader)
            case "logprobs": try fields.set(logprobs: try reader.integer(), by: name)
            default: try fields.read(name, &reader)
            }
        }
        guard let texts else { throw LeafError.field("prompt", "is missing") }
        let generation = try fields.finished()
        self.texts = texts
        (model, form, options) = (fields.model, fields.form, generation.options)
        (samples, choices, isEmpty) = (generation.samples, generation.choices, generation.isEmpty)
        if form.suffix != nil { try checkBlank() }
    }

    /// A suffix makes the text that is wanted a blank, of which there is one.
    private func checkBlank() throws(LeafError) {
        guard samples == 1 else { throw LeafError.field("suffix", "gives one text for each prompt; leave out 'n'") }
        guard prompts.allSatisfy({ if case .text = $0 { true } else { false } }) else {
            throw LeafError.field("suffix", "goes with a prompt that is a text, not ids")
        }
        guard !form.echoesPrompt || options.logprobs == nil else {
            throw LeafError.field("suffix", "goes with no 'echo' that has 'logprobs', which scores a text that goes on")
        }
        let (tokens, lengths) = (options.maxTokens, FillRequest.openLengths)
        guard lengths.contains(tokens) else {
            throw LeafError.field("max_tokens", "is \(tokens); before a 'suffix' it is 1 to \(lengths.upperBound)")
        }
    }

    /// One for each prompt.
    ///
    /// - Throws: `.usage` for what makes no sense with this model.
    package func requests(for file: ModelFile) throws(LeafError) -> [GenerationRequest] {
        var requests: [GenerationRequest] = []
        for prompt in prompts {
            let request = GenerationRequest(
                prompt: try file.rows(of: prompt, options), options: options, samples: samples)
            try request.validate(for: file.configuration)
            requests.append(request)
        }
        return requests
    }
}
