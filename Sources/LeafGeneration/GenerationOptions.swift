/// What to generate, and how to choose tokens. The defaults are CPM-Live's.
public struct GenerationOptions: Sendable, Equatable {
    public enum Decoding: Sendable, Equatable {
        /// Takes the most likely token; of equal ones, the one with the smaller id.
        case greedy
        /// Draws a token by its probability, after the filters.
        case sampling
        /// Searches with this many beams for the texts with the highest scores.
        case beams(Int)
    }

    public var decoding: Decoding
    /// The most tokens to generate, without the end token. CPM-Live's beam search may give one more.
    public var maxTokens: Int
    /// The divisor of logits. Above 1 it makes probabilities more even, below 1 more different.
    public var temperature: Float
    /// Keeps the most likely tokens until their probabilities exceed this; 0 and 1 keep all.
    public var topP: Float
    /// Keeps this many of the most likely tokens, and those equal to the last of them; 0 keeps all.
    public var topK: Int
    /// Drops tokens less likely than this share of the most likely one; 0 keeps all.
    public var minP: Float
    /// The seed of the random numbers; nil for a new one each time.
    public var seed: UInt64?
    /// Divides positive logits of tokens that occurred before, and multiplies negative ones; 1 is off.
    public var repetitionPenalty: Float
    /// How many of the last tokens the penalty counts; nil for all.
    public var repetitionWindow: Int?
    /// Subtracted from a token's logit for each time that it occurred; 0 is off.
    public var frequencyPenalty: Float
    /// Subtracted from a token's logit if it occurred; 0 is off.
    public var presencePenalty: Float
    /// Forbids any run of this many tokens to occur twice; 0 is off.
    public var noRepeatNgram: Int
    /// Added to the logits of these ids.
    public var logitBias: [Int32: Float]
    /// Whether the first token may be the end or a line break; nil for the rule of `compatibility`.
    public var allowEmpty: Bool?
    /// The token that ends a text.
    public var eosID: Int32
    /// Strings that end a text and are not part of it.
    public var stop: [String]
    /// A beam's log-probability is divided by its length to this power. Above 1 favours long texts; 0 ignores the
    /// length.
    public var lengthPenalty: Float
    /// Whether beam search ends as soon as there are as many texts as beams, even if a better one could come.
    public var earlyStopping: Bool
    /// The implementation whose rules are followed.
    public var compatibility: Compatibility
    /// The number of the soft prompt: CPM-Ant's 2 continues a text, 1 fills blanks.
    public var task: Int
    /// The segment of the text, which selects its rows of the segment table and of the position bias.
    public var segment: Int
    /// The name of the adapter; nil for the model's unnamed one, if it has one.
    public var delta: String?
    /// The name of a soft prompt from a file; nil for the model's unnamed one, if it has one, otherwise the task's own.
    public var promptEmbedding: String?
    /// How many of the most likely tokens to report with log-probabilities, besides the chosen one; nil for no
    /// log-probabilities.
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

    /// Options that take the most likely token each time.
    public static var greedy: GenerationOptions { GenerationOptions(decoding: .greedy) }

    /// Makes a seed for a request without one. It is short, because people copy it.
    public static func freshSeed() -> UInt64 { UInt64(UInt32.random(in: .min ... .max)) }
}
