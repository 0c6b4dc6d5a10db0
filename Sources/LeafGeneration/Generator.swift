import CLeafKernels
public import CPMAnt
public import LeafFormat
public import LeafTokenizer

/// A prompt and what to make of it.
public struct GenerationRequest: Sendable {
    public var prompt: PromptRows
    public var options: GenerationOptions
    /// Independent continuations of the one prompt; they ride on the same sweeps.
    public var samples: Int

    public init(prompt: PromptRows, options: GenerationOptions, samples: Int = 1) {
        self.prompt = prompt
        self.options = options
        self.samples = samples
    }

    /// Cached positions that the request can come to need. The samples share the prompt's pages, but the last one, if it
    /// is partly filled, is copied for each.
    public func positions(in configuration: ModelConfiguration) -> Int {
        let shared = prompt.length(in: configuration)
        return shared + samples * (options.maxTokens - 1) + (samples - 1) * (shared % Int(LEAF_PAGE_KEYS))
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
    }

    public var samples: [Sample]
    public var promptTokens: Int
    public var seed: UInt64
    public var sweeps: Int
    /// Until the first token was there.
    public var prefillSeconds: Double
    /// After it.
    public var decodeSeconds: Double

    public var completionTokens: Int { samples.reduce(0) { $0 + $1.ids.count } }
}

/// Turns a request into rows on sweeps and the logits that come back into text.
public struct Generator: ~Copyable {
    private let model: CPMAntModel
    private let vocabulary: Vocabulary?
    private var workspace: SamplingWorkspace

    /// - Parameters:
    ///   - vocabulary: nil for a model that gives ids only.
    /// - Throws: `.budget` when the system refuses the memory for one row.
    public init(model: CPMAntModel, vocabulary: Vocabulary?) throws(LeafError) {
        self.model = model
        self.vocabulary = vocabulary
        workspace = try SamplingWorkspace(vocabSize: model.configuration.vocabSize)
    }

    /// One sample on its way.
    private struct Track {
        let sequence: SequenceID
        var decoder: SequenceDecoder
        var stream: TextStream?
        var text = ""
        var logprobs: [TokenLogprobs] = []
    }

    /// Runs a request to its end.
    ///
    /// - Parameters:
    ///   - isCancelled: asked between blocks; the samples then end as `interrupted`, with what they have.
    ///   - onPiece: called for every token, in the order of the samples.
    /// - Throws: `.usage` for options that make no sense, `.budget` when the model was planned for less, and what the
    ///   forward pass throws.
    public mutating func run(
        _ request: GenerationRequest, isCancelled: () -> Bool = { false },
        onPiece: (GeneratedPiece) -> Void = { _ in }
    ) throws(LeafError) -> Generation {
        let configuration = model.configuration
        try request.options.validate(for: configuration)
        guard request.samples > 0 else {
            throw LeafError(.usage, "\(request.samples) samples make no sense; ask for at least 1")
        }
        let seed = request.options.seed ?? GenerationOptions.freshSeed()
        let start = ContinuousClock.now
        var firstToken = start
        var sweeps = 0
        var tracks = [track(request, seed: seed, sample: 0, on: model.cache.makeSequence())]
        defer { for track in tracks { model.cache.remove(track.sequence) } }

        do throws(LeafError) {
            var batch = RowBatch(
                rows: request.prompt.rows(of: tracks[0].sequence, in: configuration) {
                    [last = request.prompt.ids.count - 1] in
                    $0 == last
                })
            try model.forward(batch, isCancelled: isCancelled) { _, logits throws(LeafError) in
                for sample in 1..<request.samples {
                    tracks.append(track(request, seed: seed, sample: sample, on: model.cache.fork(tracks[0].sequence)))
                }
                for sample in tracks.indices { try accept(logits, sample, &tracks[sample], onPiece) }
            }
            sweeps += 1
            firstToken = .now
            while true {
                let active = tracks.indices.filter { tracks[$0].decoder.finishReason == nil }
                if active.isEmpty { break }
                batch.rows = active.compactMap { sample in
                    let ids = tracks[sample].decoder.ids
                    return ids.last.map {
                        request.prompt.row(
                            of: tracks[sample].sequence, generated: $0, step: ids.count - 1, in: configuration)
                    }
                }
                try model.forward(batch, isCancelled: isCancelled) { row, logits throws(LeafError) in
                    try accept(logits, active[row], &tracks[active[row]], onPiece)
                }
                sweeps += 1
            }
        } catch {
            guard error.kind == .cancelled else { throw error }
        }
        return Generation(
            samples: tracks.indices.map { finish($0, &tracks[$0], onPiece) },
            promptTokens: request.prompt.ids.count, seed: seed, sweeps: sweeps,
            prefillSeconds: (firstToken - start).seconds, decodeSeconds: (.now - firstToken).seconds)
    }

    private func track(_ request: GenerationRequest, seed: UInt64, sample: Int, on sequence: SequenceID) -> Track {
        Track(
            sequence: sequence, decoder: SequenceDecoder(request.options, seed: seed, sample: sample),
            stream: vocabulary.map { TextStream(vocabulary: $0, stop: request.options.stop) })
    }

    private mutating func accept(
        _ logits: UnsafeBufferPointer<Float>, _ sample: Int, _ track: inout Track, _ onPiece: (GeneratedPiece) -> Void
    ) throws(LeafError) {
        guard let token = try track.decoder.accept(logits.span, workspace: &workspace) else { return }
        let text = track.stream?.append(token.id) ?? ""
        track.text += text
        if let logprobs = token.logprobs { track.logprobs.append(logprobs) }
        onPiece(GeneratedPiece(sample: sample, id: token.id, text: text, logprobs: token.logprobs))
        if track.stream?.hasStopped == true { track.decoder.finish(.stop) }
    }

    private func finish(
        _ sample: Int, _ track: inout Track, _ onPiece: (GeneratedPiece) -> Void
    ) -> Generation.Sample {
        let rest = track.stream?.finish() ?? ""
        if !rest.isEmpty {
            track.text += rest
            onPiece(GeneratedPiece(sample: sample, id: nil, text: rest, logprobs: nil))
        }
        return Generation.Sample(
            ids: track.decoder.ids, text: track.text, finishReason: track.decoder.finishReason ?? .interrupted,
            logprobs: track.logprobs)
    }
}

extension Duration {
    fileprivate var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
