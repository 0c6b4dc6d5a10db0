import LeafFormat
package import LeafGeneration
package import LeafSystem

/// A request of any kind. It has one shape wherever it comes from: the JSON object of a line, of a body, of a call.
package enum WireRequest: Sendable {
    case generate(GenerateInput)
    case fill(FillInput)
    case score(ScoreInput)
    case perplexity(PerplexityInput)
    case embed(EmbedInput)
    case logits(LogitsCase)
    case tokenize(TokenizeInput)
    case detokenize(DetokenizeInput)

    /// What holds for requests that say nothing about it.
    package struct Defaults: Sendable {
        package var generate = GenerateInput.Defaults()
        package var fill = FillInput.Defaults()
        package var score = ScoreInput.Defaults()
        package var perplexity = PerplexityInput.Defaults()
        package var embed = EmbedInput.Defaults()

        package init() {}
    }

    /// The most bytes of one request. What takes more is refused before it is read.
    package static let byteLimit = 1 << 20

    /// - Parameters:
    ///   - kind: nil where the request names it itself, by `kind`.
    ///   - json: one object in UTF-8.
    ///   - kinds: to name where there is no such kind.
    /// - Throws: `.usage` naming what is wrong.
    package init(
        _ kind: RequestKind? = nil, json: ArraySlice<UInt8>, _ defaults: Defaults = Defaults(),
        kinds: [RequestKind] = RequestKind.allCases
    ) throws(LeafError) {
        guard json.count <= Self.byteLimit else {
            throw LeafError(.usage, "the request has \(json.count) bytes, more than \(Self.byteLimit)")
        }
        let kind = if let kind { kind } else { try Self.kind(of: json, among: kinds) }
        self =
            switch kind {
            case .generate: .generate(try GenerateInput(json: json, defaults.generate))
            case .fill: .fill(try FillInput(json: json, defaults.fill))
            case .score: .score(try ScoreInput(json: json, defaults.score))
            case .perplexity: .perplexity(try PerplexityInput(json: json, defaults.perplexity))
            case .embed: .embed(try EmbedInput(json: json, defaults.embed))
            case .logits: .logits(try LogitsInput.logitsCase(json: json))
            case .tokenize: .tokenize(try TokenizeInput(json: json))
            case .detokenize: .detokenize(try DetokenizeInput(json: json))
            }
    }

    package var id: RequestID? {
        switch self {
        case .generate(let input): input.id
        case .fill(let input): input.id
        case .score(let input): input.id
        case .perplexity(let input): input.id
        case .embed(let input): input.id
        case .logits(let logitsCase): .text(logitsCase.id)
        case .tokenize(let input): input.id
        case .detokenize(let input): input.id
        }
    }

    private static func kind(of json: ArraySlice<UInt8>, among kinds: [RequestKind]) throws(LeafError) -> RequestKind {
        var kind: RequestKind?
        try JSONReader.read(json) { name, reader throws(LeafError) in
            guard name == "kind" else { return try reader.skip() }
            let text = try reader.text()
            guard let known = RequestKind(rawValue: text), kinds.contains(known) else {
                let names = kinds.map(\.rawValue)
                let nearest = NearestName.of(text, among: names)
                throw LeafError(
                    .usage,
                    "there is no kind '\(text.prefix(40))'; "
                        + (nearest.map { "did you mean '\($0)'?" } ?? "there are \(names.joined(separator: ", "))"))
            }
            kind = known
        }
        guard let kind else { throw LeafError.field("kind", "is missing") }
        return kind
    }
}
