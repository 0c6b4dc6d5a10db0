package import LeafFormat
package import LeafGeneration
package import LeafSystem
import LeafTokenizer
package import Leafcutter

/// A text to continue: `{"id","prompt" or "input_ids","n", any option in snake_case}`.
package struct GenerateInput: Sendable {
    /// Options and samples for requests that do not give them.
    package struct Defaults: Sendable {
        package var options: GenerationOptions
        package var samples: Int

        package init(options: GenerationOptions = GenerationOptions(), samples: Int = 1) {
            self.options = options
            self.samples = samples
        }
    }

    package var id: RequestID?
    package var prompt: Prompt
    package var options: GenerationOptions
    package var samples: Int

    private static let names = ["id", "prompt", "input_ids", "n"] + OptionFields.choice + OptionFields.names

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(json: ArraySlice<UInt8>, _ defaults: Defaults = Defaults()) throws(LeafError) {
        var (options, samples) = (defaults.options, defaults.samples)
        var id: RequestID?
        var text: String?
        var ids: [Int32]?
        var isGreedy: Bool?
        var beams: Int?
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.generate.check(&reader)
            case "id": id = try RequestID(&reader)
            case "prompt": text = try reader.text()
            case "input_ids": ids = try reader.integers()
            case "n": samples = try reader.integer()
            case "greedy": isGreedy = try reader.bool()
            case "beams": beams = try reader.integer(Int.self)
            default: try OptionFields.read(name, &reader, into: &options, known: Self.names)
            }
        }
        switch (isGreedy, beams) {
        case (true?, _?): throw LeafError(.usage, "give 'greedy' or 'beams', not both")
        case (_, let width?): options.decoding = .beams(width)
        case (true?, nil): options.decoding = .greedy
        case (false?, nil): if options.decoding == .greedy { options.decoding = .sampling }
        case (nil, nil): break
        }
        prompt = try Prompt(text: text, "prompt", ids: ids)
        (self.id, self.options, self.samples) = (id, options.withGreedyAtZero, samples)
    }

    package init(_ prompt: Prompt, _ defaults: Defaults) {
        self.prompt = prompt
        (options, samples) = (defaults.options, defaults.samples)
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    package func request(for file: ModelFile) throws(LeafError) -> GenerationRequest {
        let request = GenerationRequest(
            prompt: try file.rows(of: prompt, options), options: options, samples: samples)
        try request.validate(for: file.configuration)
        return request
    }

    /// Whether it gives a text of which nothing is left.
    ///
    /// - Parameter request: what it became.
    package func isEmpty(_ request: GenerationRequest) -> Bool {
        if case .text = prompt { request.prompt.ids == [Tokenizer.bosID] } else { false }
    }
}

extension Prompt {
    /// A field of an answer: what was asked.
    ///
    /// - Parameter name: of a text.
    package func field(_ name: String) -> (key: String, value: JSON) {
        switch self {
        case .text(let text): (name, .string(text))
        case .ids(let ids): ("input_ids", .ids(ids))
        }
    }

    /// What was given of two.
    ///
    /// - Parameter name: of the text's field.
    /// - Throws: `.usage` for neither and for both.
    init(text: String?, _ name: String, ids: [Int32]?) throws(LeafError) {
        switch (text, ids) {
        case (let text?, nil): self = .text(text)
        case (nil, let ids?): self = .ids(ids)
        case (nil, nil): throw LeafError(.usage, "'\(name)' or 'input_ids' is missing")
        case (_?, _?): throw LeafError(.usage, "give '\(name)' or 'input_ids', not both")
        }
    }
}
