/// A text with filled blanks.
public struct Filling: Sendable {
    public struct Blank: Sendable {
        /// The index of its first token in `ids`.
        public var start: Int
        /// Its tokens with the model's log-probabilities.
        public var tokens: [TokenLogprobs]
        /// Its text; empty for a model without a vocabulary.
        public var text: String

        public init(start: Int, tokens: [TokenLogprobs], text: String) {
            self.start = start
            self.tokens = tokens
            self.text = text
        }

        public var ids: [Int32] { tokens.map(\.chosen.id) }
        public var logprob: Double { tokens.reduce(0) { $0 + $1.chosen.logprob } }
    }

    /// The whole text as the model reads it, from `<s>` to `</s>`.
    public var ids: [Int32]
    public var blanks: [Blank]
    public var seed: UInt64
    /// Sweeps that had rows of the request.
    public var sweeps: Int
    /// The rows computed for all lengths that were tried.
    public var rows: Int
    /// Seconds before its first sweep.
    public var waitSeconds: Double
    /// Seconds of its first sweep, which gives the first tokens.
    public var prefillSeconds: Double
    /// Seconds after its first sweep.
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

    /// The number of tokens in all blanks.
    public var tokenCount: Int { blanks.reduce(0) { $0 + $1.tokens.count } }
}

extension Generation {
    /// The one blank of a text as if it had been generated. It counts as stopped by itself unless it has the largest
    /// length.
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
