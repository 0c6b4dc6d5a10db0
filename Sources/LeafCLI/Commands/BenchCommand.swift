import Glibc
import LeafArguments
import LeafExecutor
import LeafStream
import LeafSystem
import Leafcutter

/// `leafcutter bench MODEL [--memory A,B,..]`
struct BenchCommand: Command {
    var model: String?
    var memory = MemoryBudgets(budgets: [.automatic])
    var benchmark = Benchmark()
    var format = BenchFormat.md
    var output: String?
    var from: String?
    var name: String?
    var isInProcess = false
    var text: String?
    var tuning = TuningOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<BenchCommand>(
        name: "bench", summary: "Measure how fast a model runs at each of several budgets.",
        discussion: """
            Every budget runs in a process of its own, so that its peak memory is its own. One sweep that is not \
            counted comes first, then prompts and decoding steps alternately. The disk is measured before and after \
            each run, memory and processor before it; what `plan` would have predicted from that stands beside what \
            was measured. Measuring the machine takes at most a quarter of the free memory (of what the container \
            allows), and no more than some 1.2 GiB, whatever --memory says; the run itself keeps to its budget.

            With --text the model writes: the file's first tokens are the prompt, and the most likely token goes on \
            each time. --speculate wants that, because made-up tokens cannot be guessed.
            """,
        arguments: [.optional("MODEL", "A .leaf file.", \.model, suggest: .model)],
        options: measuring + reporting + TuningOptions.all.map { $0.lifted(\.tuning) }
            + ofEngine.map { $0.lifted(\.engine) }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "bench ant.leaf --memory 512MiB,1GiB,2GiB,4GiB,8GiB,11GiB --format jsonl --output ant.jsonl",
            "bench --from ant.jsonl --format svg --output ant.svg",
            "bench ant.leaf --memory 11GiB --batch 8 --prompt 512",
            "bench ant.leaf --memory 6GiB --text poems.txt --speculate ant-q4.leaf --keep-acceptance",
        ])

    private static let measuring: [CommandOption<BenchCommand>] = [
        .value("memory", "SIZES", "Budgets, with commas between them (default: auto).", \.memory),
        .number(
            "prompt", "N", .init(Benchmark.promptCounts),
            "Tokens of the prompt; the soft prompt comes on top (default 128).", \.benchmark.promptTokens
        ),
        .number(
            "generate", "N", .init(1...Benchmark.promptCounts.upperBound),
            "Decoding steps after each prompt, or tokens of a text (default 16).",
            \.benchmark.generatedTokens),
        .value(
            "text", "FILE", "Go on from the first tokens of this text, as many as --prompt says.", \.text,
            suggest: .file),
        .number("batch", "B", .texts, "Sequences that decode together (default 1).", \.benchmark.batch),
        .number(
            "repeat", "N", .init(Benchmark.repeatCounts),
            "Prompts and their decoding steps that are counted (default 3).", \.benchmark.repeats),
    ]

    private static let ofEngine =
        EngineOptions.generating.filter { $0.name != "memory" } + [EngineOptions.acceptanceOption]

    private static let reporting: [CommandOption<BenchCommand>] = [
        .value(
            "format", "FORM", "md (default), csv, json, jsonl, or svg: memory against speed.", \.format,
            suggest: .words(BenchFormat.allCases.map(\.rawValue))),
        .value("output", "FILE", "Write the result there, not to standard output.", \.output, suggest: .file),
        .value(
            "from", "FILE",
            "Measure nothing: take the lines of an earlier run in jsonl; - is standard input. Lines of other programs "
                + "with name, budget and decode_seconds_per_token may be among them.", \.from, suggest: .file),
        .value("name", "NAME", "What the series is called in a chart or a table.", \.name),
        .flag(
            "in-process", "Measure one budget in this process and print its line; bench runs this for each.",
            \.isInProcess),
    ]

    func run(_ terminal: Terminal) throws(LeafError) {
        try validate()
        if let from {
            return try report(BenchLines.read(from), terminal, to: try openOutput(madeFrom: [from, "-"]))
        }
        guard let model else { throw LeafError(.usage, "MODEL is missing; give a .leaf file, or --from with results") }
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model)
        let work = try work(for: file, terminal)
        if isInProcess { return try measureHere(work, terminal) }
        let budgets = try memory.budgets.map { budget throws(LeafError) in try work.plan(budget).budget }
        let interrupt = terminal.interrupt
        let output = try openOutput(madeFrom: inputs(of: file))
        try checkTrace(beside: file)
        var runs: [BenchRun] = []
        do throws(LeafError) {
            for (number, budget) in budgets.enumerated() {
                let place = budgets.count > 1 ? " (\(number + 1) of \(budgets.count))" : ""
                runs.append(try measure(work, budget, place, interrupt, terminal))
            }
        } catch {
            // Keep the results of an hour even if the last run failed.
            if !runs.isEmpty { try report(runs, terminal, to: output) }
            guard error.kind == .cancelled else { throw error }
            throw LeafError(
                .cancelled, "interrupted after \(runs.count) of \(Quantity.count(budgets.count, "budget"))")
        }
        try report(runs, terminal, to: output)
    }

    private func validate() throws(LeafError) {
        guard from == nil || model == nil else { throw LeafError(.usage, "give a MODEL or --from, not both") }
        guard memory.budgets.count == 1 || engine.trace == nil else {
            throw LeafError(.usage, "--trace is for one budget; \(memory.budgets.count) were given")
        }
        guard text != nil || (engine.speculate == "off" && engine.draftTokens == nil) else {
            throw LeafError(.usage, "--speculate guesses how a text goes on; give one with --text")
        }
        guard memory.budgets.count == 1 || !isInProcess else {
            throw LeafError(.usage, "--in-process is for one budget; \(memory.budgets.count) were given")
        }
    }

    private func work(for file: ModelFile, _ terminal: Terminal) throws(LeafError) -> BenchWork {
        var benchmark = benchmark
        var prompt: [Int32]?
        var capacity = benchmark.capacity(for: file.configuration)
        if let text {
            let ids = try BenchWork.prompt(text, file, tokens: benchmark.promptTokens)
            benchmark.promptTokens = ids.count
            capacity = try benchmark.capacity(writingAfter: ids, file)
            prompt = ids
        }
        var options = engine.modelOptions(capacity)
        options.drafts = try engine.drafts(terminal)
        return BenchWork(file: file, benchmark: benchmark, prompt: prompt, options: options)
    }

    /// What the benchmark reads, which no result may replace.
    private func inputs(of file: ModelFile) -> [String] {
        engine.inputs(of: file) + (text.map { [$0] } ?? [])
    }

    // MARK: One budget

    /// Measures the machine, runs the model in another process, and measures the disk again.
    ///
    /// - Parameter place: which of the budgets it is, for the progress.
    private func measure(
        _ work: BenchWork, _ budget: Int, _ place: String, _ interrupt: Interrupt, _ terminal: Terminal
    ) throws(LeafError) -> BenchRun {
        let file = work.file
        func checkForSignals() throws(LeafError) {
            try interrupt.check()
        }
        func show(_ step: String) throws(LeafError) {
            try checkForSignals()
            terminal.progress.show("\(ByteCount(bytes: budget))\(place), \(step)")
        }
        let threads = engine.threads ?? Machine.current().cores
        var rates = try MachineRates.measure(
            for: file, rows: work.measuredRows, threads: threads, activations: engine.activations,
            reading: engine.reading, cancellation: interrupt.cancellation, onStep: show)
        try show("measuring the model")
        terminal.progress.clear()
        let child = try ChildProcess(words(budget), passing: interrupt)
        try checkForSignals()
        guard child.end == .exited(0) else { throw Self.failure(of: child, budget) }
        var run = try BenchLines.parse(child.output, "the measurement's process")[0]
        try show("measuring the disk")
        let after = try DiskProbe.measure(
            path: file.leaf.path, reading: engine.reading, isCancelled: { interrupt.isRequested })
        try checkForSignals()
        rates.disk.bytesPerSecond = (rates.disk.bytesPerSecond + after.bytesPerSecond) / 2
        let forecast = try work.forecast(budget, rates)
        let prediction = forecast.prediction
        run.name = name ?? run.name
        run.diskBytesPerSecond = rates.disk.allowedBytesPerSecond
        run.ramBytesPerSecond = rates.kernels.readBytesPerSecond
        run.predictedSecondsPerToken = forecast.secondsPerToken
        run.predictedPrefillSeconds = prediction.laterPrefillSeconds
        run.predictedFirstPrefillSeconds = prediction.prefillSeconds
        run.machine = BenchMachine(threads: threads, try InstructionSet.wanted())
        terminal.note(
            "\(ByteCount(bytes: budget)): \(run.secondsPerToken.mean.asDuration) a token, "
                + "predicted \(forecast.secondsPerToken.asDuration)" + Self.gain(run, forecast))
        return run
    }

    /// What drafts gave, for the line of a budget; nothing where nothing drafted.
    private static func gain(_ run: BenchRun, _ forecast: Outlook.Forecast) -> String {
        guard let tokens = run.tokensPerSweep, let off = forecast.off, (run.drafted ?? 0) > 0 else { return "" }
        return "; \(tokens.fixed(2)) tokens a sweep, and without drafts \(off.secondsPerToken.asDuration) a token are "
            + "predicted"
    }

    /// The command line of the process that measures one budget.
    private func words(_ budget: Int) -> [String] {
        var words = [
            "bench", "--in-process", "--memory", "\(budget)", "--prompt", "\(benchmark.promptTokens)", "--generate",
            "\(benchmark.generatedTokens)", "--batch", "\(benchmark.batch)", "--repeat", "\(benchmark.repeats)",
            "--io", engine.reading.mode.rawValue, "--activations", engine.activations.rawValue,
        ]
        if let threads = engine.threads { words += ["--threads", "\(threads)"] }
        if let kv = engine.kv { words += ["--kv", kv.rawValue] }
        if let mirror = engine.reading.mirror { words += ["--mirror", mirror] }
        if let rate = engine.reading.maxBytesPerSecond { words += ["--max-read-rate", "\(rate)B/s"] }
        if let trace = engine.trace { words += ["--trace", trace] }
        if let text { words += ["--text", text, "--speculate", engine.speculate] }
        if let count = engine.draftTokens { words += ["--draft-tokens", "\(count)"] }
        if let acceptance = engine.acceptance { words += ["--acceptance", "\(acceptance)"] }
        if engine.keepsAcceptance { words.append("--keep-acceptance") }
        if common.isQuiet { words.append("--quiet") }
        return words + tuning.words + ["--", model ?? ""]
    }

    private static func failure(of child: ChildProcess, _ budget: Int) -> LeafError {
        switch child.end {
        case .exited(128 + SIGINT), .exited(128 + SIGTERM): LeafError(.cancelled, "interrupted")
        case .exited(let code):
            LeafError(code == 3 ? .budget : code == 2 ? .usage : .io, "no result for \(ByteCount(bytes: budget))")
        case .killed(let signal):
            LeafError(
                .io,
                "the process for \(ByteCount(bytes: budget)) was killed by signal \(signal)"
                    + (signal == SIGKILL ? ", perhaps for want of memory" : ""))
        }
    }

    private func measureHere(_ work: BenchWork, _ terminal: Terminal) throws(LeafError) {
        do throws(LeafError) {
            try measureInProcess(work, terminal)
        } catch {
            guard error.kind == .cancelled, ChildProcess.isCurrent else { throw error }
            // The process that started this one says so.
            terminal.progress.clear()
            exit(error.exitCode)
        }
    }

    private func measureInProcess(_ work: BenchWork, _ terminal: Terminal) throws(LeafError) {
        let output = try openOutput(madeFrom: inputs(of: work.file))
        let trace = try engine.makeTrace(beside: work.file, text.map { [$0] } ?? [])
        let model = try Model(work.file, work.options(memory.budgets[0], trace: trace))
        terminal.tellPlan(of: model)
        terminal.progress.follow(model)
        let run = try work.run(on: model, terminal)
        terminal.progress.clear()
        try engine.finish(trace, work.file.leaf, terminal)
        engine.keepAcceptance(of: model, warning: terminal.warn)
        try write(run.result.json.line + "\n", terminal, to: output)
    }

    // MARK: The result

    /// Fails before the run if the process that measures could not write the timeline.
    ///
    /// What is no file stays open as long as this process lasts: the reader of a pipe takes the end of its first writer
    /// for the end.
    private func checkTrace(beside file: ModelFile) throws(LeafError) {
        guard let trace = engine.trace else { return }
        guard OutputTarget.descriptor(named: trace) == nil else {
            throw LeafError(
                .usage, "--trace \(trace) belongs to this process, and another one measures; name a file or a pipe")
        }
        if case .file = try OutputTarget(path: trace) { _ = try engine.makeTrace(beside: file) }
    }

    /// Creates the output before the hour of measuring, not after it.
    private func openOutput(madeFrom inputs: [String]) throws(LeafError) -> UnfinishedFile? {
        guard let output else { return nil }
        try OutputTarget.check(output, isNoneOf: inputs)
        try engine.checkResults(areApartFrom: OutputTarget.written(output, with: [.part]))
        return try UnfinishedFile(path: output, isCancelled: { Interrupt.isAnyRequested })
    }

    private func report(_ runs: [BenchRun], _ terminal: Terminal, to file: UnfinishedFile?) throws(LeafError) {
        try write(BenchReport(runs: runs).text(common.isJSON ? .json : format), terminal, to: file)
    }

    private func write(_ text: String, _ terminal: Terminal, to file: UnfinishedFile?) throws(LeafError) {
        guard let file else { return terminal.output.write(text) }
        try file.append(text)
        try file.finish()
    }
}

/// Several values of `--memory`.
struct MemoryBudgets: ArgumentValue {
    let budgets: [MemoryBudget]

    init(budgets: [MemoryBudget]) { self.budgets = budgets }

    init?(argument: String) {
        var budgets: [MemoryBudget] = []
        for size in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let budget = MemoryBudget(argument: String(size)) else { return nil }
            budgets.append(budget)
        }
        self.budgets = budgets
    }

    static var expectation: String { "sizes such as 512MiB,2GiB,auto, with commas between them" }

    static func fault(in argument: String) -> String? {
        let sizes = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for size in sizes {
            guard let fault = MemoryBudget.fault(in: size) else { continue }
            return sizes.count == 1 ? fault : "holds \(size), which \(fault)"
        }
        return nil
    }
}
