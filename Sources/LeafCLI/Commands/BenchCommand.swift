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
    var tuning = TuningOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<BenchCommand>(
        name: "bench", summary: "Measure how fast a model runs at each of several budgets.",
        discussion: """
            Every budget runs in a process of its own, so that its peak memory is its own. One sweep that is not \
            counted comes first, then prompts and decoding steps alternately. The disk is measured before and after \
            each run, memory and processor before it; what `plan` would have predicted from that stands beside what \
            was measured.
            """,
        arguments: [.optional("MODEL", "A .leaf file.", \.model, suggest: .model)],
        options: measuring + reporting + TuningOptions.all.map { $0.lifted(\.tuning) }
            + (EngineOptions.all.filter { $0.name != "memory" } + [EngineOptions.traceOption]).map {
                $0.lifted(\.engine)
            }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "bench ant.leaf --memory 512MiB,1GiB,2GiB,4GiB,8GiB,11GiB --format jsonl --output ant.jsonl",
            "bench --from ant.jsonl --format svg --output ant.svg",
            "bench ant.leaf --memory 11GiB --batch 8 --prompt 512",
        ])

    private static let measuring: [CommandOption<BenchCommand>] = [
        .value("memory", "SIZES", "Budgets, with commas between them (default: auto).", \.memory),
        .value(
            "prompt", "N", "Tokens of the prompt; the soft prompt comes on top (default 128).", \.benchmark.promptTokens
        ),
        .value("generate", "N", "Decoding steps after each prompt (default 16).", \.benchmark.generatedTokens),
        .value("batch", "B", "Sequences that decode together (default 1).", \.benchmark.batch),
        .value("repeat", "N", "Prompts and their decoding steps that are counted (default 3).", \.benchmark.repeats),
    ]

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
        if isInProcess { return try measureHere(file, terminal) }
        let budgets = try memory.budgets.map { budget throws(LeafError) in try plan(file, budget).budget }
        let interrupt = terminal.interrupt
        let output = try openOutput(madeFrom: engine.inputs(of: file))
        try checkTrace(beside: file)
        var runs: [BenchRun] = []
        do throws(LeafError) {
            for (number, budget) in budgets.enumerated() {
                let place = budgets.count > 1 ? " (\(number + 1) of \(budgets.count))" : ""
                runs.append(try measure(file, budget, place, interrupt, terminal))
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
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(LeafError) {
            guard range.contains(value) else {
                throw LeafError(.usage, "--\(name) \(value) is not between \(range.lowerBound) and \(range.upperBound)")
            }
        }
        try check("prompt", benchmark.promptTokens, 1...1 << 20)
        try check("generate", benchmark.generatedTokens, 1...1 << 20)
        try check("batch", benchmark.batch, 1...1024)
        try check("repeat", benchmark.repeats, 1...10_000)
        guard from == nil || model == nil else { throw LeafError(.usage, "give a MODEL or --from, not both") }
        guard memory.budgets.count == 1 || engine.trace == nil else {
            throw LeafError(.usage, "--trace is for one budget; \(memory.budgets.count) were given")
        }
        guard memory.budgets.count == 1 || !isInProcess else {
            throw LeafError(.usage, "--in-process is for one budget; \(memory.budgets.count) were given")
        }
    }

    private func modelOptions(
        _ file: ModelFile, _ budget: MemoryBudget, trace: TraceRecorder? = nil
    ) -> ModelOptions {
        var options = engine.modelOptions(benchmark.capacity(for: file.configuration), trace: trace)
        options.memory = budget
        return options
    }

    private func plan(_ file: ModelFile, _ budget: MemoryBudget) throws(LeafError) -> MemoryPlan {
        try Model.plan(file, modelOptions(file, budget))
    }

    // MARK: One budget

    /// Measures the machine, runs the model in another process, and measures the disk again.
    ///
    /// - Parameter place: which of the budgets it is, for the progress.
    private func measure(
        _ file: ModelFile, _ budget: Int, _ place: String, _ interrupt: Interrupt, _ terminal: Terminal
    ) throws(LeafError) -> BenchRun {
        func checkForSignals() throws(LeafError) {
            try interrupt.check()
        }
        func show(_ step: String) throws(LeafError) {
            try checkForSignals()
            terminal.progress.show("\(ByteCount(bytes: budget))\(place), \(step)")
        }
        let rows = benchmark.promptRows(in: file.configuration)
        let threads = engine.threads ?? Machine.current().cores
        var rates = try MachineRates.measure(
            for: file, rows: [benchmark.batch, rows], threads: threads, activations: engine.activations,
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
        let prediction = Prediction(
            file, try plan(file, .bytes(budget)), promptRows: rows, batch: benchmark.batch, rates)
        run.name = name ?? run.name
        run.diskBytesPerSecond = rates.disk.allowedBytesPerSecond
        run.ramBytesPerSecond = rates.kernels.readBytesPerSecond
        run.predictedSecondsPerToken = prediction.secondsPerToken
        run.predictedPrefillSeconds = prediction.laterPrefillSeconds
        run.predictedFirstPrefillSeconds = prediction.prefillSeconds
        run.machine = BenchMachine(threads: threads, try InstructionSet.wanted())
        terminal.note(
            "\(ByteCount(bytes: budget)): \(run.secondsPerToken.mean.asDuration) a token, "
                + "predicted \(prediction.secondsPerToken.asDuration)")
        return run
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

    private func measureHere(_ file: ModelFile, _ terminal: Terminal) throws(LeafError) {
        do throws(LeafError) {
            try measureInProcess(file, terminal)
        } catch {
            guard error.kind == .cancelled, ChildProcess.isCurrent else { throw error }
            // The process that started this one says so.
            terminal.progress.clear()
            exit(error.exitCode)
        }
    }

    private func measureInProcess(_ file: ModelFile, _ terminal: Terminal) throws(LeafError) {
        let interrupt = terminal.interrupt
        let output = try openOutput(madeFrom: engine.inputs(of: file))
        let trace = try engine.makeTrace(beside: file)
        let model = try Model(file, modelOptions(file, memory.budgets[0], trace: trace))
        terminal.progress.follow(model)
        func show(_ done: Int) {
            var progress = Progress(
                "\(ByteCount(bytes: model.plan.budget)), measuring the model", done, of: benchmark.sweeps, "sweep")
            progress.sweep = .counted
            terminal.progress.show(progress)
        }
        show(0)
        let times = try model.run(
            benchmark, cancellation: interrupt.cancellation, onSweep: { done, _ in show(done) })
        terminal.progress.clear()
        let decode = times.decodeSecondsPerToken.reduce(0, +) * Double(benchmark.generatedTokens)
        let run = BenchRun(
            budget: model.plan.budget, batch: benchmark.batch,
            promptRows: benchmark.promptRows(in: file.configuration), firstPrefillSeconds: times.firstPrefillSeconds,
            prefillSeconds: times.prefillSeconds, decodeSecondsPerToken: times.decodeSecondsPerToken,
            weightBytes: file.leaf.chunks.reduce(0) { $0 + $1.rawBytes },
            streamedBytesPerSweep: model.plan.streamedBytesPerSweep,
            readBytesPerSecond: times.decodeReadSeconds > 0
                ? Double(times.decodeBytesRead) / times.decodeReadSeconds : nil,
            waitShare: decode > 0 ? times.decodeWaitSeconds / decode : nil, io: model.io.rawValue,
            planned: model.plan.total, peak: ProcessMemory.peakBytes)
        try engine.finish(trace, file.leaf, terminal)
        try write(run.json.line + "\n", terminal, to: output)
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
}
