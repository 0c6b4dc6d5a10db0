public import LeafExecutor
public import LeafGeneration
import LeafStream
public import LeafSystem

extension Benchmark {
    /// What writing a text gave, beside its times.
    public struct Written: Sendable, Equatable {
        public var times = Times()
        /// What the texts got behind their prompts, and how many sweeps of single texts that took.
        public var tokens = 0
        public var sweeps = 0
        public var drafted = 0
        public var accepted = 0
        /// Seconds that drafting took, of all texts.
        public var draftSeconds = 0.0
        /// Seconds of all sweeps behind prompts.
        public var decodeSeconds = 0.0

        public var tokensPerSweep: Double { sweeps > 0 ? Double(tokens) / Double(sweeps) : 1 }
    }

    /// What it writes: the same texts with and without drafts.
    fileprivate func request(_ prompt: [Int32], tokens: Int, _ file: ModelFile) throws(LeafError) -> GenerationRequest {
        var options = GenerationOptions.greedy
        options.maxTokens = tokens
        return GenerationRequest(prompt: try file.rows(of: .ids(prompt), options), options: options, samples: batch)
    }

    /// The capacity that a model needs to write.
    ///
    /// - Throws: `.usage` for ids that the model does not have.
    public func capacity(writingAfter prompt: [Int32], _ file: ModelFile) throws(LeafError) -> Demand {
        Demand(together: [try request(prompt, tokens: generatedTokens + 1, file).demand(in: file.configuration)])
    }
}

extension Model {
    /// Runs a benchmark of writing, with what drafts for this model: the prompt once without counting it, then texts,
    /// each from the prompt on.
    ///
    /// A text has a token of its prompt's sweep and `generatedTokens` more, unless it ends before.
    ///
    /// - Parameters:
    ///   - cancellation: ends it with `.cancelled`.
    ///   - onToken: called after every token with the number of tokens so far.
    /// - Throws: `.usage` for numbers that make no sense, `.badInput` for a text that ends at once, `.cancelled`, and
    ///   what sweeps throw.
    public func write(
        _ benchmark: Benchmark, after prompt: [Int32], cancellation: Cancellation = Cancellation(),
        onToken: (_ done: Int) -> Void
    ) throws(LeafError) -> Benchmark.Written {
        try benchmark.validate()
        var written = Benchmark.Written()
        func generate(tokens: Int, onFirst: () -> Void = {}, onToken: () -> Void = {}) throws(LeafError) -> Generation {
            let request = try benchmark.request(prompt, tokens: tokens, file)
            var isFirst = true
            var result = Result<Generation, LeafError>.failure(LeafError(.cancelled, "interrupted"))
            try self.generate([request], cancellation: cancellation) { _, event in
                switch event {
                case .piece:
                    if isFirst { onFirst() }
                    isFirst = false
                    onToken()
                case .progress: break
                case .finished(let outcome): result = outcome
                }
            }
            if cancellation.isCancelled { throw LeafError(.cancelled, "interrupted") }
            return try result.get()
        }
        written.times.firstPrefillSeconds = try generate(tokens: 1).prefillSeconds
        var done = 0
        let drafting = speculation.seconds
        for _ in 0..<benchmark.repeats {
            var before = counters
            let generation = try generate(
                tokens: benchmark.generatedTokens + 1, onFirst: { before = counters },
                onToken: {
                    done += 1
                    onToken(done)
                })
            guard generation.stepTokens > 0 else {
                throw LeafError(.badInput, "nothing comes after this text but its end; give another text")
            }
            written.add(generation, texts: benchmark.batch, before, counters)
        }
        written.draftSeconds = speculation.seconds - drafting
        return written
    }
}

extension Benchmark.Written {
    /// - Parameters:
    ///   - before: behind the prompt's sweep.
    fileprivate mutating func add(_ generation: Generation, texts: Int, _ before: Counters, _ after: Counters) {
        times.prefillSeconds.append(generation.prefillSeconds)
        times.decodeSecondsPerToken.append(
            generation.decodeSeconds / (Double(generation.stepTokens) / Double(max(1, texts))))
        times.decodeWaitSeconds += Double(after.waitNanoseconds - before.waitNanoseconds) * 1e-9
        times.decodeBytesRead += after.bytesRead - before.bytesRead
        times.decodeReadSeconds += Double(after.readNanoseconds - before.readNanoseconds) * 1e-9
        decodeSeconds += generation.decodeSeconds
        tokens += generation.stepTokens
        sweeps += generation.steps
        drafted += generation.draftedTokens
        accepted += generation.acceptedTokens
    }
}
