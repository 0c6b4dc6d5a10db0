public import CPMAntShape
public import LeafFormat

/// A prompt and what to make of it.
public struct GenerationRequest: Sendable {
    public var prompt: PromptRows
    public var options: GenerationOptions
    /// Continuations of the one prompt; they ride on the same sweeps. With beams the best ones.
    public var samples: Int
    /// Where the generation is kept, and what it goes on from; nil for nowhere.
    public var session: Session?
    /// What decides the texts beside the request: there once the request is known to fit its session.
    var sessionOrigin: [SessionHead.Field]?

    public init(prompt: PromptRows, options: GenerationOptions, samples: Int = 1, session: Session? = nil) {
        self.prompt = prompt
        self.options = options
        self.samples = samples
        self.session = session
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    public func validate(for configuration: ModelConfiguration) throws(LeafError) {
        try options.validate(for: configuration)
        try prompt.validate(for: configuration)
        guard (1...GenerationOptions.mostSequences).contains(samples) else {
            throw LeafError(.usage, "\(samples) texts are not between 1 and \(GenerationOptions.mostSequences)")
        }
        if case .beams(let width) = options.decoding, samples > width {
            throw LeafError(
                .usage, "\(samples) texts are more than \(width) beams end with", advice: .beams(samples))
        }
        guard !prompt.ids.isEmpty else { throw LeafError(.usage, "the prompt has no ids; give at least <s> (6)") }
    }

    /// The prompt as the imitated implementation reads it.
    var textRows: PromptRows {
        var rows = prompt
        rows.zeroIsPadding = options.compatibility.zeroIsPadding
        return rows
    }

    /// What the request can come to need of a model.
    ///
    /// Sequences of one prompt share its full pages; the partly filled one and the rest are each one's own.
    public func demand(in configuration: ModelConfiguration) -> Demand {
        let shared = prompt.length(in: configuration)
        let (width, generated) = (options.width(samples: samples), options.generatedRows)
        let all = shared +| generated
        if options.compatibility == .transformersUncached {
            return Demand(
                pages: width *| Demand.pages(holding: all), sequences: width, positions: all, firstRows: shared,
                stepRows: width *| all, logitRows: width)
        }
        let ownPages = max(1, Demand.pages(holding: shared % Demand.pageKeys +| generated))
        return Demand(
            pages: shared / Demand.pageKeys +| width *| ownPages, sequences: width, positions: all, firstRows: shared,
            stepRows: width, logitRows: width)
    }
}

extension GenerationOptions {
    /// Sequences of one request.
    public static let mostSequences = 1024

    /// Sequences that go on at the same time.
    func width(samples: Int) -> Int {
        if case .beams(let width) = decoding { return max(1, width) }
        return max(1, samples)
    }

    /// Generated tokens that a sequence feeds back at most.
    var generatedRows: Int {
        if case .beams = decoding, compatibility == .cpmLive { return max(1, maxTokens) +| 1 }
        return max(1, maxTokens) - 1
    }
}

/// Something that was just generated.
public struct GeneratedPiece: Sendable, Equatable {
    /// The number of the sample within its request.
    public let sample: Int
    /// Nil for text that was held back and became certain when its sample ended.
    public let id: Int32?
    /// Whole characters, possibly none.
    public let text: String
    public let logprobs: TokenLogprobs?
}

/// What a generation gives while it is under way.
public typealias GenerationEvent = RequestEvent<Generation>

/// Everything a request gave.
public struct Generation: Sendable {
    public struct Sample: Sendable {
        /// The generated part, without the end token.
        public var ids: [Int32]
        /// Empty for a model without a vocabulary.
        public var text: String
        public var finishReason: FinishReason
        /// One a token, if they were asked for.
        public var logprobs: [TokenLogprobs]
        /// With beams: the log-probability divided by the length, as the imitated implementation counts them.
        public var score: Double?
    }

    public var samples: [Sample]
    public var promptTokens: Int
    /// Of the texts, those that came from a session.
    public var resumedTokens = 0
    public var seed: UInt64
    /// Sweeps on which rows of the request were.
    public var sweeps: Int
    /// Before its first sweep.
    public var waitSeconds: Double
    /// From its first sweep until the first token was there.
    public var prefillSeconds: Double
    /// After it.
    public var decodeSeconds: Double

    public var completionTokens: Int { samples.reduce(0) { $0 + $1.ids.count } }
    /// Those that did not come from a session. The best beam may be shorter than those that were saved.
    public var newTokens: Int { max(0, completionTokens - resumedTokens) }
}
