package import LeafFormat
package import LeafGeneration
package import LeafSystem
package import Leafcutter

/// The body of a request to `/v1/chat/completions`. CPM-Ant is no chat model: the contents of the messages, joined by
/// line breaks, are a text to continue.
package struct ChatInput: Sendable {
    package let model: String?
    package let prompt: String
    package let options: GenerationOptions
    /// Continuations, and how many of them, the best ones, are given.
    package let samples: Int
    package let choices: Int
    package let form: OpenAIForm

    private static let roles = ["system", "developer", "user", "assistant"]

    /// - Parameter reader: stands before the body.
    /// - Throws: `.usage` naming the field that makes no sense.
    package init(
        _ reader: inout JSONReader, _ defaults: GenerateInput.Defaults = GenerateInput.Defaults(),
        at door: RequestDoor = .line
    ) throws(LeafError) {
        var fields = OpenAIFields(defaults, door)
        var contents: [String]?
        var wantsLogprobs = false
        var top: Int?
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "messages":
                var found: [String] = []
                try reader.list { reader throws(LeafError) in found.append(try Self.content(&reader)) }
                contents = found
            case "max_completion_tokens":
                let count = try reader.integer(Int.self)
                let known = GenerationOptions.lengths
                guard known.contains(count) else {
                    throw reader.wrong("is \(count), not between 1 and \(known.upperBound)")
                }
                fields.set(maxTokens: count)
            case "logprobs": wantsLogprobs = try reader.bool()
            case "top_logprobs": top = try reader.integer(Int.self)
            default: try fields.read(name, &reader)
            }
        }
        guard let contents else { throw LeafError.field("messages", "is missing") }
        guard !contents.isEmpty else { throw LeafError.field("messages", "is an empty list; give at least one") }
        if wantsLogprobs {
            try fields.set(logprobs: top ?? 0, by: "top_logprobs")
        } else if let top, top != 0 {
            throw LeafError.field("top_logprobs", "is \(top), where 'logprobs' is not true; ask for both")
        }
        let generation = try fields.finished()
        guard !fields.form.echoesPrompt, fields.form.suffix == nil else {
            throw LeafError.field(
                fields.form.echoesPrompt ? "echo" : "suffix", "is not for a chat; /v1/completions takes it")
        }
        prompt = contents.joined(separator: "\n")
        (model, form, options) = (fields.model, fields.form, generation.options)
        (samples, choices) = (generation.samples, generation.choices)
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
                if try reader.kind(among: [.text, .list]) == .list {
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
            let missing = role == nil ? "role" : "content"
            throw LeafError(.usage, "a message lacks its '\(missing)'", field: "messages.\(missing)")
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
        guard let text else {
            throw LeafError(.usage, "a part of a message lacks its 'text'", field: "messages.content.text")
        }
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
