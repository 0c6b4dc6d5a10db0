/// What to generate and how to choose; the defaults are CPM-Live's.
public struct GenerationOptions: Sendable, Equatable {
    public enum Decoding: Sendable, Equatable {
        /// The most likely token; of equals the one with the smaller id.
        case greedy
        /// A random token by its probability, after the filters.
        case sampling
        /// Beam search with this many beams: the texts of the highest score.
        case beams(Int)
    }

    public var decoding: Decoding
    /// Tokens to generate at most, the end token not counted. CPM-Live's beam search may give one more.
    public var maxTokens: Int
    /// Logits are divided by it. Above 1 evens the probabilities out, below 1 sharpens them.
    public var temperature: Float
    /// The most likely tokens are kept until their probabilities exceed it; 0 and 1 keep all.
    public var topP: Float
    /// The most likely tokens are kept, this many and those equal to the last; 0 keeps all.
    public var topK: Int
    /// Tokens less likely than this share of the most likely one are dropped; 0 keeps all.
    public var minP: Float
    /// Where the random numbers come from; nil for a new one each time.
    public var seed: UInt64?
    /// Logits of tokens that came already are divided by it where positive, else multiplied; 1 is off.
    public var repetitionPenalty: Float
    /// How many of the last tokens are punished; nil for all.
    public var repetitionWindow: Int?
    /// Taken off a token's logit for each time that it came; 0 is off.
    public var frequencyPenalty: Float
    /// Taken off a token's logit if it came; 0 is off.
    public var presencePenalty: Float
    /// No run of so many tokens comes twice; 0 is off.
    public var noRepeatNgram: Int
    /// Added to the logits of these ids.
    public var logitBias: [Int32: Float]
    /// Whether the first token may be the end or a line break; nil for what the imitated implementation does.
    public var allowEmpty: Bool?
    /// The token that ends a text.
    public var eosID: Int32
    /// Strings that end a text and are not part of it.
    public var stop: [String]
    /// A beam's log-probability is divided by its length to this power: above 1 favours long texts, 0 leaves it alone.
    public var lengthPenalty: Float
    /// Whether beam search ends with as many texts as there are beams, rather than when no better one can come.
    public var earlyStopping: Bool
    /// Whose way of generating is followed.
    public var compatibility: Compatibility
    /// The soft prompt: CPM-Ant's 2 continues a text, 1 fills blanks.
    public var task: Int
    /// The segment of the text, which picks its rows of the segment table and the position bias.
    public var segment: Int
    /// Log-probabilities to report of every token beside its own; nil for none.
    public var logprobs: Int?

    public init(
        decoding: Decoding = .sampling, maxTokens: Int = 100, temperature: Float = 0.9, topP: Float = 0.9,
        topK: Int = 0, minP: Float = 0, seed: UInt64? = nil, repetitionPenalty: Float = 1,
        repetitionWindow: Int? = nil, frequencyPenalty: Float = 0, presencePenalty: Float = 0, noRepeatNgram: Int = 0,
        logitBias: [Int32: Float] = [:], allowEmpty: Bool? = nil, eosID: Int32 = 7, stop: [String] = [],
        lengthPenalty: Float = 1, earlyStopping: Bool = false, compatibility: Compatibility = .cpmLive, task: Int = 2,
        segment: Int = 2, logprobs: Int? = nil
    ) {
        self.decoding = decoding
        self.maxTokens = maxTokens
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.seed = seed
        self.repetitionPenalty = repetitionPenalty
        self.repetitionWindow = repetitionWindow
        self.frequencyPenalty = frequencyPenalty
        self.presencePenalty = presencePenalty
        self.noRepeatNgram = noRepeatNgram
        self.logitBias = logitBias
        self.allowEmpty = allowEmpty
        self.eosID = eosID
        self.stop = stop
        self.lengthPenalty = lengthPenalty
        self.earlyStopping = earlyStopping
        self.compatibility = compatibility
        self.task = task
        self.segment = segment
        self.logprobs = logprobs
    }

    var allowsEmpty: Bool { allowEmpty ?? (compatibility != .cpmLive) }

    /// The most likely token each time.
    public static var greedy: GenerationOptions { GenerationOptions(decoding: .greedy) }

    /// A seed for a request that names none; short, because people copy it.
    public static func freshSeed() -> UInt64 { UInt64(UInt32.random(in: .min ... .max)) }
}
