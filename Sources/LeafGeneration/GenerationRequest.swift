public import CPMAntShape
public import LeafExecutor
public import LeafSystem

/// A prompt, and what to generate from it.
public struct GenerationRequest: Sendable {
    public var prompt: PromptRows
    public var options: GenerationOptions
    /// The number of continuations of the prompt, which share sweeps. With beams, the number of best texts.
    public var samples: Int
    /// The file that keeps the generation and continues it; nil for none.
    public var session: Session?
    /// Everything besides the request that decides its texts. It is set once the request is known to fit its session.
    var sessionOrigin: [SessionHead.Field]?

    public init(prompt: PromptRows, options: GenerationOptions, samples: Int = 1, session: Session? = nil) {
        self.prompt = prompt
        self.options = options
        self.samples = samples
        self.session = session
    }

    /// - Throws: `.usage` if the request is invalid for this model.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try options.validate(for: configuration)
        try prompt.validate(for: configuration)
        guard (1...GenerationOptions.mostSequences).contains(samples) else {
            throw LeafError(
                .usage, "\(samples) texts are not between 1 and \(GenerationOptions.mostSequences)", field: "n")
        }
        if case .beams(let width) = options.decoding, samples > width {
            throw LeafError(
                .usage, "\(samples) texts are more than a search with \(width.of("beam")) ends with",
                advice: .beams(samples), field: "n")
        }
        guard !prompt.ids.isEmpty else {
            throw LeafError(.usage, "the prompt has no ids; give at least <s> (6)", field: "prompt")
        }
    }

    /// The prompt as the chosen implementation reads it.
    var textRows: PromptRows {
        var rows = prompt
        rows.zeroIsPadding = options.compatibility.zeroIsPadding
        return rows
    }

    /// The most that the request can need of a model.
    ///
    /// Sequences of one prompt share its full pages. Each has its own copy of the partly filled page, and its own pages
    /// after it.
    public func demand(in configuration: ModelConfiguration) -> Demand {
        let shared = prompt.length(in: configuration)
        let (width, generated) = (options.width(samples: samples), options.generatedRows)
        let all = shared +| generated
        if options.compatibility == .transformersUncached {
            return Demand(
                pages: width *| Demand.pages(holding: all), sequences: width, longest: all, firstRows: shared,
                stepRows: width *| all, logitRows: width, heapBytes: heapBytes(generated: generated),
                takesDrafts: false)
        }
        let ownPages = max(1, Demand.pages(holding: shared % Demand.pageKeys +| generated))
        return Demand(
            pages: shared / Demand.pageKeys +| width *| ownPages, sequences: width, longest: all, firstRows: shared,
            stepRows: width, logitRows: width, heapBytes: heapBytes(generated: generated), takesDrafts: !isSearch)
    }

    private var isSearch: Bool { if case .beams = options.decoding { true } else { false } }

    private func heapBytes(generated: Int) -> Int {
        // A search keeps as many texts that have ended as it has beams.
        let text = prompt.ids.count *| Demand.idHeapBytes +| generated *| options.tokenHeapBytes
        let events = samples *| generated *| Self.eventHeapBytes
        // The rows of one text at a time.
        let rows = (prompt.ids.count +| generated) *| Demand.rowHeapBytes
        return (isSearch ? 2 : 1) *| options.width(samples: samples) *| (text +| options.stopHeapBytes)
            +| events +| rows
    }

    /// Bytes on the heap for a token's event, in an array that grows where events are taken late.
    package static let eventHeapBytes = 3 * MemoryLayout<(number: Int, event: GenerationEvent)>.stride
}

extension GenerationOptions {
    /// The most sequences of one request.
    public static let mostSequences = 1024

    /// Stop strings of one request, and their bytes together: each text searches for all of them.
    static let mostStops = 64
    static let mostStopBytes = 4096
    /// Bytes on the heap for the search of one text with as many stop strings as there may be.
    package static let mostStopHeapBytes = stopHeapBytes(count: mostStops, bytes: mostStopBytes)

    /// Bytes on the heap for the search of one text.
    var stopHeapBytes: Int { Self.stopHeapBytes(count: stop.count, bytes: stop.reduce(0) { $0 +| $1.utf8.count }) }

    private static func stopHeapBytes(count: Int, bytes: Int) -> Int { 256 *| count +| 8 *| bytes }

    /// Bytes on the heap for a token under way: ids and text, in arrays that have doubled, and log-probabilities.
    public var tokenHeapBytes: Int {
        72 +| (logprobs.map { 128 +| ($0 +| 1) *| MemoryLayout<TokenLogprobs.Entry>.stride } ?? 0)
    }

    /// The number of sequences that run at the same time.
    func width(samples: Int) -> Int {
        if case .beams(let width) = decoding { return max(1, width) }
        return max(1, samples)
    }

    /// The most generated tokens that a sequence feeds back into the model.
    var generatedRows: Int {
        if case .beams = decoding, compatibility == .cpmLive { return max(1, maxTokens) +| 1 }
        return max(1, maxTokens) - 1
    }
}

/// The text of one token that was just generated.
public struct GeneratedPiece: Sendable, Equatable {
    /// The number of the sample in its request.
    public let sample: Int
    /// The token's id; nil for text that was held back until its sample ended.
    public let id: Int32?
    /// Whole characters; may be empty.
    public let text: String
    public let logprobs: TokenLogprobs?
}

/// What a generation gives while it is under way.
public typealias GenerationEvent = RequestEvent<Generation>

/// The whole answer to a request.
public struct Generation: Sendable {
    public struct Sample: Sendable {
        /// The generated ids, without the end token.
        public var ids: [Int32]
        /// The generated text; empty for a model without a vocabulary.
        public var text: String
        public var finishReason: FinishReason
        /// One entry for each token, if they were requested.
        public var logprobs: [TokenLogprobs]
        /// With beams, the log-probability divided by the length, by the rules of the chosen implementation.
        public var score: Double?

        package init(
            ids: [Int32], text: String, finishReason: FinishReason, logprobs: [TokenLogprobs], score: Double?
        ) {
            (self.ids, self.text, self.finishReason) = (ids, text, finishReason)
            (self.logprobs, self.score) = (logprobs, score)
        }
    }

    public var samples: [Sample]
    public var promptTokens: Int
    /// Tokens of the texts that came from a session.
    public var resumedTokens = 0
    public var seed: UInt64
    /// Sweeps that had rows of the request.
    public var sweeps: Int
    /// Seconds before its first sweep.
    public var waitSeconds: Double
    /// Seconds from its first sweep to its first token.
    public var prefillSeconds: Double
    /// Seconds after its first token.
    public var decodeSeconds: Double
    /// Tokens that were drafted, and those of them that the model chose as well.
    public var draftedTokens = 0
    public var acceptedTokens = 0
    /// What texts got on sweeps behind their prompts', and how many sweeps of single texts those were.
    package var stepTokens = 0
    package var steps = 0
    /// The tokens that a text got on a sweep behind its prompt's, its end among them, on average; 1 without drafts.
    public var tokensPerSweep: Double { steps > 0 ? Double(stepTokens) / Double(steps) : 1 }

    public var completionTokens: Int { samples.reduce(0) { $0 + $1.ids.count } }
    /// Tokens that did not come from a session. The best beam may be shorter than the saved ones.
    public var newTokens: Int { max(0, completionTokens - resumedTokens) }
}
