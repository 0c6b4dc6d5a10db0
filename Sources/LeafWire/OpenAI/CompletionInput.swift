package import LeafFormat
package import LeafGeneration
package import LeafSystem
import LeafTokenizer
package import Leafcutter

/// The body of a request to `/v1/completions`: texts to continue.
package struct CompletionInput: Sendable {
    package let model: String?
    package let prompts: [Prompt]
    package let options: GenerationOptions
    /// Continuations of each prompt.
    package let samples: Int

    /// OpenAI's number where a request gives none.
    private static let usualMaxTokens = 16

    /// - Parameter reader: stands before the body.
    /// - Throws: `.usage` naming the field that makes no sense.
    package init(
        _ reader: inout JSONReader, _ defaults: GenerateInput.Defaults = GenerateInput.Defaults()
    ) throws(LeafError) {
        var fields = OpenAIFields(defaults)
        fields.set(maxTokens: Self.usualMaxTokens)
        var prompts: [Prompt]?
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "prompt": prompts = try OpenAITexts.read(&reader)
            case "logprobs": try fields.set(logprobs: try reader.integer())
            default: try fields.read(name, &reader)
            }
        }
        guard let prompts else { throw LeafError(.usage, "'prompt' is missing") }
        (model, samples, options) = (fields.model, fields.samples, try fields.finished())
        self.prompts = prompts
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

/// The body of a request to `/v1/chat/completions`. CPM-Ant is no chat model: the contents of the messages, joined by
/// line breaks, are a text to continue.
package struct ChatInput: Sendable {
    package let model: String?
    package let prompt: String
    package let options: GenerationOptions
    package let samples: Int

    private static let roles = ["system", "developer", "user", "assistant"]

    /// - Parameter reader: stands before the body.
    /// - Throws: `.usage` naming the field that makes no sense.
    package init(
        _ reader: inout JSONReader, _ defaults: GenerateInput.Defaults = GenerateInput.Defaults()
    ) throws(LeafError) {
        var fields = OpenAIFields(defaults)
        var contents: [String]?
        var wantsLogprobs = false
        var top: Int?
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "messages":
                var found: [String] = []
                try reader.list { reader throws(LeafError) in found.append(try Self.content(&reader)) }
                contents = found
            case "max_completion_tokens": fields.set(maxTokens: try reader.integer())
            case "logprobs": wantsLogprobs = try reader.bool()
            case "top_logprobs": top = try reader.integer(Int.self)
            default: try fields.read(name, &reader)
            }
        }
        guard let contents else { throw LeafError(.usage, "'messages' is missing") }
        guard !contents.isEmpty else { throw LeafError(.usage, "'messages' is an empty list; give at least one") }
        if wantsLogprobs {
            try fields.set(logprobs: top ?? 0)
        } else if let top, top > 0 {
            throw LeafError(.usage, "'top_logprobs' is \(top), where 'logprobs' is not true; ask for both")
        }
        prompt = contents.joined(separator: "\n")
        (model, samples, options) = (fields.model, fields.samples, try fields.finished())
    }

    /// The text of one message: a text, or a list of parts that are texts.
    private static func content(_ reader: inout JSONReader) throws(LeafError) -> String {
        var (role, content): (String?, String?)
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "role":
                let name = try reader.text()
                guard roles.contains(name) else {
                    throw reader.wrong("is '\(name.prefix(40))', not one of \(roles.joined(separator: ", "))")
                }
                role = name
            case "content":
                if try reader.kind() == .list {
                    var parts: [String] = []
                    try reader.list { reader throws(LeafError) in parts.append(try part(&reader)) }
                    content = parts.joined()
                } else {
                    content = try reader.text()
                }
            default: try reader.skip()
            }
        }
        guard role != nil, let content else {
            throw LeafError(.usage, "a message lacks its \(role == nil ? "'role'" : "'content'")")
        }
        return content
    }

    private static func part(_ reader: inout JSONReader) throws(LeafError) -> String {
        var text: String?
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "type":
                guard try reader.text() == "text" else { throw reader.wrong("is not text, all that CPM-Ant reads") }
            case "text": text = try reader.text()
            default: try reader.skip()
            }
        }
        guard let text else { throw LeafError(.usage, "a part of a message lacks its 'text'") }
        return text
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    package func request(for file: ModelFile) throws(LeafError) -> GenerationRequest {
        let request = GenerationRequest(
            prompt: try file.rows(of: .text(prompt), options), options: options, samples: samples)
        try request.validate(for: file.configuration)
        return request
    }
}
