/// A text whose blanks were filled.
public struct Filling: Sendable {
    public struct Blank: Sendable {
        /// Place of the first token in `ids`.
        public var start: Int
        /// How likely the model found each one.
        public var tokens: [TokenLogprobs]
        /// Empty for a model without a vocabulary.
        public var text: String

        public init(start: Int, tokens: [TokenLogprobs], text: String) {
            self.start = start
            self.tokens = tokens
            self.text = text
        }

        public var ids: [Int32] { tokens.map(\.chosen.id) }
        public var logprob: Double { tokens.reduce(0) { $0 + $1.chosen.logprob } }
    }

    /// The whole text as the model saw it, from `<s>` to `</s>`.
    public var ids: [Int32]
    public var blanks: [Blank]
    public var seed: UInt64
    /// Sweeps on which rows of the request were.
    public var sweeps: Int
    /// All that were computed, for all lengths that were tried.
    public var rows: Int
    /// Before its first sweep.
    public var waitSeconds: Double
    /// Its first sweep, after which the first tokens were there.
    public var prefillSeconds: Double
    /// After it.
    public var decodeSeconds: Double

    public init(
        ids: [Int32], blanks: [Blank], seed: UInt64, sweeps: Int, rows: Int, waitSeconds: Double,
        prefillSeconds: Double, decodeSeconds: Double
    ) {
        self.ids = ids
        self.blanks = blanks
        self.seed = seed
        self.sweeps = sweeps
        self.rows = rows
        self.waitSeconds = waitSeconds
        self.prefillSeconds = prefillSeconds
        self.decodeSeconds = decodeSeconds
    }

    /// Tokens that were found.
    public var tokenCount: Int { blanks.reduce(0) { $0 + $1.tokens.count } }
}

extension Generation {
    /// What stands in the one blank of a text, as if it had been generated: it stopped by itself unless it is as long as
    /// it might be.
    public init(_ filling: Filling, of request: FillRequest) {
        let blank = filling.blanks[0]
        let isBeamSearch = if case .beams = request.options.decoding { true } else { false }
        let sample = Sample(
            ids: blank.ids, text: blank.text, finishReason: blank.tokens.count == request.longest ? .length : .stop,
            logprobs: blank.tokens, score: isBeamSearch ? blank.logprob / Double(blank.tokens.count) : nil)
        self.init(
            samples: [sample], promptTokens: request.context.ids.count, resumedTokens: 0, seed: filling.seed,
            sweeps: filling.sweeps,
            waitSeconds: filling.waitSeconds, prefillSeconds: filling.prefillSeconds,
            decodeSeconds: filling.decodeSeconds)
    }
}
