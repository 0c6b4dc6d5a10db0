import LeafFormat
public import LeafGeneration

/// One text with blanks as JSON: `{"id","text","max_blank", any option in snake_case}`.
///
/// Options that are missing have the values of the decoder's `userInfo[.fillDefaults]`.
public struct FillLine: Decodable, Sendable {
    /// What holds for texts that say nothing about it.
    public struct Defaults: Sendable {
        public var options: GenerationOptions
        public var longest: Int

        public init(options: GenerationOptions = .filling, longest: Int = FillRequest.usualLongest) {
            self.options = options
            self.longest = longest
        }
    }

    public var id: RequestLine.ID?
    public var text: BlankText
    public var options: GenerationOptions
    public var longest: Int

    /// Who gives one of these wants to sample.
    private static let randomness: Set<String> = ["temperature", "top_p", "top_k", "min_p"]
    /// What has no meaning in a blank.
    private static let others: Set<String> = [
        "max_tokens", "allow_empty", "eos_id", "stop", "length_penalty", "early_stopping", "compat", "logprobs",
    ]

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: RequestLine.Name.self)
        let defaults = decoder.userInfo[.fillDefaults] as? Defaults ?? Defaults()
        options = defaults.options
        longest = defaults.longest
        var text: String?
        var (isGreedy, samples, beams): (Bool?, Bool?, Int?)
        for name in fields.allKeys where try !fields.decodeNil(forKey: name) {
            do {
                switch name.stringValue {
                case "id": id = try fields.decode(RequestLine.ID.self, forKey: name)
                case "text": text = try fields.decode(String.self, forKey: name)
                case "max_blank": longest = try fields.decode(Int.self, forKey: name)
                case "greedy": isGreedy = try fields.decode(Bool.self, forKey: name)
                case "sample": samples = try fields.decode(Bool.self, forKey: name)
                case "beams": beams = try fields.decode(Int.self, forKey: name)
                default:
                    guard !Self.others.contains(name.stringValue), try options.set(name, fields) else {
                        throw LeafError(.usage, "there is no option '\(name.stringValue)'")
                    }
                    if Self.randomness.contains(name.stringValue) { samples = samples ?? true }
                }
            } catch let error as LeafError {
                throw error
            } catch {
                throw LeafError(.usage, "'\(name.stringValue)' has a value of the wrong kind or size")
            }
        }
        options.decoding = try GenerationOptions.Decoding(
            greedy: isGreedy, sample: samples, beams: beams, default: options.decoding)
        guard let text else { throw LeafError(.usage, "'text' is missing") }
        self.text = try BlankText(text)
    }
}

extension GenerationOptions.Decoding {
    /// What was chosen of three.
    ///
    /// - Throws: `.usage` if more than one was.
    public init(greedy: Bool?, sample: Bool?, beams: Int?, default other: Self) throws(LeafError) {
        let chosen: [Self] =
            (greedy == true ? [.greedy] : []) + (sample == true ? [.sampling] : []) + (beams.map { [.beams($0)] } ?? [])
        guard chosen.count <= 1 else {
            throw LeafError(.usage, "give one of greedy, beams, and options of sampling, not several")
        }
        self = chosen.first ?? other
    }
}

extension CodingUserInfoKey {
    /// `FillLine.Defaults`
    public static var fillDefaults: CodingUserInfoKey {
        guard let key = CodingUserInfoKey(rawValue: "leafcutter.fill") else { preconditionFailure() }
        return key
    }
}
