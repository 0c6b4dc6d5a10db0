/// What to generate and how to choose; the defaults are CPM-Live's.
public struct GenerationOptions: Sendable, Equatable {
    public enum Decoding: Sendable, Equatable {
        /// The most likely token; of equals the one with the smaller id.
        case greedy
        /// A random token by its probability, after the filters.
        case sampling
    }

    public var decoding: Decoding
    /// Tokens to generate at most, the end token not counted.
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
    /// Logits of generated tokens are divided by it where positive, else multiplied; 1 is off.
    public var repetitionPenalty: Float
    /// How many of the last generated tokens are punished; nil for all.
    public var repetitionWindow: Int?
    /// Whether the first token may be the end or a line break.
    public var allowEmpty: Bool
    /// The token that ends a text.
    public var eosID: Int32
    /// Strings that end a text and are not part of it.
    public var stop: [String]
    /// The soft prompt: CPM-Ant's 2 continues a text, 1 fills blanks.
    public var task: Int
    /// The segment of the text, which picks its rows of the segment table and the position bias.
    public var segment: Int
    /// Log-probabilities to report of every token beside its own; nil for none.
    public var logprobs: Int?

    public init(
        decoding: Decoding = .sampling, maxTokens: Int = 100, temperature: Float = 0.9, topP: Float = 0.9,
        topK: Int = 0, minP: Float = 0, seed: UInt64? = nil, repetitionPenalty: Float = 1,
        repetitionWindow: Int? = nil, allowEmpty: Bool = false, eosID: Int32 = 7, stop: [String] = [], task: Int = 2,
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
        self.allowEmpty = allowEmpty
        self.eosID = eosID
        self.stop = stop
        self.task = task
        self.segment = segment
        self.logprobs = logprobs
    }

    /// The most likely token each time.
    public static var greedy: GenerationOptions { GenerationOptions(decoding: .greedy) }

    /// A seed for a request that names none; short, because people copy it.
    public static func freshSeed() -> UInt64 { UInt64(UInt32.random(in: .min ... .max)) }
}
