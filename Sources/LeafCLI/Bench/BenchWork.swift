import LeafExecutor
import LeafStream
import LeafSystem
import Leafcutter

/// What a benchmark runs: made-up rows, or a text that the model writes.
struct BenchWork {
    let file: ModelFile
    let benchmark: Benchmark
    /// What the text begins with; nil for made-up rows.
    let prompt: [Int32]?
    /// All but the budget and the timeline.
    let options: ModelOptions

    /// The first tokens of a text, with `<s>`.
    ///
    /// - Throws: `.usage` for a text that can be read but once or holds nothing that the vocabulary has.
    static func prompt(_ path: String, _ file: ModelFile, tokens: Int) throws(LeafError) -> [Int32] {
        let text = try TextTokens(path: path, file.requireTokenizer())
        guard text.isRepeatable else {
            throw LeafError(.usage, "\(path) can be read but once, and each budget reads it; name a file")
        }
        var ids = [Tokenizer.bosID]
        while ids.count < tokens, case .value(let more) = try text.next(waiting: -1) { ids += more }
        guard ids.count > 1 || tokens == 1 else {
            throw LeafError(.usage, "the vocabulary has nothing of \(path); give another text")
        }
        return Array(ids.prefix(tokens))
    }

    func options(_ budget: MemoryBudget, trace: TraceRecorder? = nil) -> ModelOptions {
        var options = options
        (options.memory, options.trace) = (budget, trace)
        return options
    }

    func plan(_ budget: MemoryBudget) throws(LeafError) -> MemoryPlan { try Model.plan(file, options(budget)) }

    private var promptRows: Int { benchmark.promptRows(in: file.configuration) }

    /// Rows of sweeps whose rates predictions need.
    var measuredRows: [Int] { options.forecastRows(prompt: promptRows) }

    /// What `plan` would say.
    func forecast(_ budget: Int, _ rates: MachineRates) throws(LeafError) -> Outlook.Forecast {
        try Outlook.forecast(budget, file, options, promptRows, rates)
    }

    /// Runs it once.
    func run(
        on model: Model, _ terminal: Terminal
    ) throws(LeafError) -> (result: BenchRun, written: Benchmark.Written?) {
        func show(_ done: Int, of all: Int, _ unit: String) {
            var progress = Progress("\(ByteCount(bytes: model.plan.budget)), measuring the model", done, of: all, unit)
            progress.sweep = .counted
            terminal.progress.show(progress)
        }
        let cancellation = terminal.interrupt.cancellation
        guard let prompt else {
            show(0, of: benchmark.sweeps, "sweep")
            let times = try model.run(
                benchmark, cancellation: cancellation, onSweep: { done, all in show(done, of: all, "sweep") })
            let decode = times.decodeSecondsPerToken.reduce(0, +) * Double(benchmark.generatedTokens)
            return (result(times, model, decodeSeconds: decode), nil)
        }
        let tokens = benchmark.repeats * (1 + benchmark.generatedTokens)
        show(0, of: tokens, "token")
        let written = try model.write(
            benchmark, after: prompt, cancellation: cancellation, onToken: { show($0, of: tokens, "token") })
        var run = result(written.times, model, decodeSeconds: written.decodeSeconds)
        run.speculation = model.speculation.mode
        run.tokensPerSweep = written.tokensPerSweep
        (run.drafted, run.accepted) = (written.drafted, written.accepted)
        run.draftSeconds = written.draftSeconds
        return (run, written)
    }

    /// - Parameter decodeSeconds: of all decoding steps.
    private func result(_ times: Benchmark.Times, _ model: Model, decodeSeconds: Double) -> BenchRun {
        BenchRun(
            budget: model.plan.budget, batch: benchmark.batch, promptRows: promptRows,
            firstPrefillSeconds: times.firstPrefillSeconds, prefillSeconds: times.prefillSeconds,
            decodeSecondsPerToken: times.decodeSecondsPerToken,
            weightBytes: file.leaf.chunks.reduce(0) { $0 + $1.rawBytes },
            streamedBytesPerSweep: model.plan.streamedBytesPerSweep,
            readBytesPerSecond: times.decodeReadSeconds > 0
                ? Double(times.decodeBytesRead) / times.decodeReadSeconds : nil,
            waitShare: decodeSeconds > 0 ? times.decodeWaitSeconds / decodeSeconds : nil, io: model.io.rawValue,
            planned: model.plan.total, peak: ProcessMemory.peakBytes)
    }
}
