public import CPMAntShape
public import LeafExecutor
public import LeafGeneration
import LeafStream
public import LeafSystem

/// A benchmark of one model in one process, for `leafcutter bench`: sweeps alone, without choosing tokens.
public struct Benchmark: Sendable, Equatable {
    public var promptTokens: Int
    public var generatedTokens: Int
    /// Sequences that decode together; they share one prompt.
    public var batch: Int
    public var repeats: Int

    public init(promptTokens: Int = 128, generatedTokens: Int = 16, batch: Int = 1, repeats: Int = 3) {
        self.promptTokens = promptTokens
        self.generatedTokens = generatedTokens
        self.batch = batch
        self.repeats = repeats
    }

    public struct Times: Sendable, Equatable {
        /// Seconds of the warm-up prompt, which reads and checks everything for the first time.
        public var firstPrefillSeconds = 0.0
        /// Seconds of each counted prompt, one number for each repeat.
        public var prefillSeconds: [Double] = []
        /// Seconds of the mean decoding step, one number for each repeat. A step gives every sequence a token.
        public var decodeSecondsPerToken: [Double] = []
        /// Seconds that all counted decoding steps waited for the disk.
        public var decodeWaitSeconds = 0.0
        public var decodeBytesRead = 0
        public var decodeReadSeconds = 0.0

        public init() {}
    }

    /// All of them, the warm-up prompt among them.
    package var sweeps: Int { 1 +| repeats *| (1 +| generatedTokens) }

    package static let promptCounts = 1...1 << 20
    private static let generatedCounts = 0...1 << 20
    private static let batches = 1...GenerationOptions.mostSequences
    package static let repeatCounts = 1...10_000

    /// - Throws: `.usage` for numbers that make no sense.
    public func validate() throws(LeafError) {
        for (count, range, what) in [
            (promptTokens, Self.promptCounts, "prompt tokens"), (generatedTokens, Self.generatedCounts, "tokens"),
            (batch, Self.batches, "sequences"), (repeats, Self.repeatCounts, "repeats"),
        ] where !range.contains(count) {
            throw LeafError(
                .usage, "a benchmark of \(count) \(what) is not between \(range.lowerBound) and \(range.upperBound)")
        }
    }

    /// Rows of the prompt's sweep.
    public func promptRows(in configuration: ModelConfiguration) -> Int { configuration.promptLength +| promptTokens }

    /// The capacity that a model needs for this benchmark.
    public func capacity(for configuration: ModelConfiguration) -> Demand {
        let shared = promptRows(in: configuration)
        return Demand(
            context: shared +| batch *| generatedTokens +| (batch -| 1) *| (shared % Demand.pageKeys),
            rows: max(shared, batch), logitRows: batch, sequences: batch)
    }
}

extension Model {
    /// Runs a benchmark: a prompt that is not counted, then prompts and decoding steps alternately. It has the model
    /// to itself; requests that come meanwhile wait.
    ///
    /// - Parameters:
    ///   - cancellation: ends it with `.cancelled`.
    ///   - onSweep: called after every sweep with the number of sweeps done and the number of all sweeps.
    /// - Throws: `.usage` for numbers that make no sense, `.busy` while requests are under way, `.cancelled`, and what
    ///   sweeps throw.
    public func run(
        _ benchmark: Benchmark, cancellation: Cancellation = Cancellation(), onSweep: (_ done: Int, _ all: Int) -> Void
    ) throws(LeafError) -> Benchmark.Times {
        try benchmark.validate()
        let configuration = file.configuration
        func id(_ index: Int) -> Int32 { Int32(index &* 7919 % configuration.vocabSize) }
        var prompt = try PromptRows(
            ids: (0..<benchmark.promptTokens).map(id), task: 0, segment: 0, for: configuration)
        prompt.tuning = file.tunings.unnamed(task: 0, for: configuration)
        var done = 0
        var times = Benchmark.Times()

        return try engine.perform { model throws(LeafError) in
            guard engine.isIdle else {
                throw LeafError(.busy, "a benchmark needs the model to itself; wait until all requests have finished")
            }
            func sweep(_ rows: [RowBatch.Row]) throws(LeafError) -> Double {
                let start = ContinuousClock.now
                try engine.sweep(RowBatch(rows: rows), for: cancellation)
                done += 1
                onSweep(done, benchmark.sweeps)
                return (ContinuousClock.now - start) / .seconds(1)
            }
            func promptRows(_ sequence: SequenceID) -> [RowBatch.Row] {
                prompt.rows(of: sequence, in: configuration) { $0 == benchmark.promptTokens - 1 }
            }
            do {
                let warmUp = model.cache.makeSequence()
                defer { model.cache.remove(warmUp) }
                times.firstPrefillSeconds = try sweep(promptRows(warmUp))
            }
            for _ in 0..<benchmark.repeats {
                var sequences = [model.cache.makeSequence()]
                defer { for sequence in sequences { model.cache.remove(sequence) } }
                times.prefillSeconds.append(try sweep(promptRows(sequences[0])))
                while sequences.count < benchmark.batch { sequences.append(model.cache.fork(sequences[0])) }
                let before = counters
                var seconds = 0.0
                for step in 0..<benchmark.generatedTokens {
                    seconds += try sweep(
                        sequences.map { prompt.row(of: $0, generated: id(step), step: step, in: configuration) })
                }
                let after = counters
                times.decodeSecondsPerToken.append(seconds / Double(max(1, benchmark.generatedTokens)))
                times.decodeWaitSeconds += Double(after.waitNanoseconds - before.waitNanoseconds) * 1e-9
                times.decodeBytesRead += after.bytesRead - before.bytesRead
                times.decodeReadSeconds += Double(after.readNanoseconds - before.readNanoseconds) * 1e-9
            }
            return times
        }
    }

    /// Measures the memory of this machine: bytes per second at which all threads copy pinned weights into their
    /// caches. Takes some hundredths of a second and no memory. Returns nil if too few weights are pinned.
    public func measureMemoryRate() -> Double? {
        try? engine.perform { model throws(LeafError) in model.measureMemoryRate(pinned: plan.pinnedChunks) }
    }
}
