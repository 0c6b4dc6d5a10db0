import LeafFormat
package import LeafGeneration
package import LeafSystem
package import Leafcutter

/// A text with blanks: `{"id","text","max_blank", any option in snake_case}`.
package struct FillInput: Sendable {
    /// What holds for texts that say nothing about it.
    package struct Defaults: Sendable {
        package var options: GenerationOptions
        package var longest: Int

        package init(options: GenerationOptions = .filling, longest: Int = FillRequest.usualLongest) {
            self.options = options
            self.longest = longest
        }
    }

    package var id: RequestID?
    package var text: BlankText
    /// The text as it was given, with its blanks.
    package let source: String
    package var options: GenerationOptions
    package var longest: Int
    /// Fields over HTTP that nobody knows.
    package private(set) var ignored = UnknownFields()

    /// Options that turn sampling on.
    private static let randomness: Set<String> = ["temperature", "top_p", "top_k", "min_p"]
    /// Options that have no effect in a blank and are refused.
    private static let others: Set<String> = [
        "max_tokens", "allow_empty", "eos_id", "stop", "length_penalty", "early_stopping", "compat", "logprobs",
    ]
    private static let names =
        ["id", "text", "max_blank", "sample"] + OptionFields.choice + OptionFields.names.filter { !others.contains($0) }

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(
        json: ArraySlice<UInt8>, _ defaults: Defaults = Defaults(), at door: RequestDoor = .line
    ) throws(LeafError) {
        var ignored = UnknownFields()
        var (options, longest) = (defaults.options, defaults.longest)
        var id: RequestID?
        var text: String?
        var (isGreedy, samples, beams): (Bool?, Bool?, Int?)
        var wantsRandomness = false
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.fill.check(&reader)
            case "id": id = try RequestID(&reader)
            case "text": text = try reader.text()
            case "max_blank": longest = try reader.integer()
            case "greedy": isGreedy = try reader.bool()
            case "sample": samples = try reader.bool()
            case "beams": beams = try reader.integer(Int.self)
            case _ where door == .server && !Self.names.contains(name) && !Self.others.contains(name):
                try ignored.pass(name, &reader)
            default:
                try OptionFields.read(name, &reader, into: &options, known: Self.names)
                if Self.randomness.contains(name) { wantsRandomness = true }
            }
        }
        options.decoding = try GenerationOptions.Decoding(
            greedy: isGreedy, sample: samples ?? (wantsRandomness ? true : nil), beams: beams,
            default: options.decoding)
        guard let text else { throw LeafError.field("text", "is missing") }
        self.text = try BlankText(text)
        source = text
        (self.id, self.options, self.longest) = (id, options.withGreedyAtZero, longest)
        self.ignored = ignored
    }

    /// - Throws: `.usage` for a text without a blank.
    package init(_ text: String, _ defaults: Defaults) throws(LeafError) {
        self.text = try BlankText(text)
        source = text
        (options, longest) = (defaults.options, defaults.longest)
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    package func request(for file: ModelFile) throws(LeafError) -> FillRequest {
        try file.request(toFill: text, options, longest: longest)
    }
}
