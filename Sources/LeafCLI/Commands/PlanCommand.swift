public import CPMAntShape
import LeafArguments
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter plan MODEL|--preset NAME`
struct PlanCommand: Command {
    var model: String?
    var preset: ModelPreset?
    var weights: WeightsArgument?
    var context = 512
    var batch = 1
    var target: Seconds?
    var diskRate: ByteRate?
    var cores: Int?
    var tuning = TuningOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<PlanCommand>(
        name: "plan", summary: "Show whether a model fits a memory budget, and how fast it will be.",
        discussion: """
            For some fifteen seconds the processor is measured, the disk at places all over the file, and both at once \
            with the model's own blocks. Whatever --memory says, that takes at most a quarter of the free memory (of \
            what the container allows), and no more than some 1.2 GiB. --disk-rate says how fast the disk is instead, \
            and skips most of this: it leaves some 256 MiB at most. A preset has no file, so it needs the rate. \
            --target answers the other way round: the smallest memory for a wanted speed. Exit code 3 if the model does \
            not fit, or if no memory makes it so fast.
            """,
        arguments: [.optional("MODEL", "A .leaf file.", \.model, suggest: .model)],
        options: own + TuningOptions.all.map { $0.lifted(\.tuning) } + ofEngine.map { $0.lifted(\.engine) }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "plan ant.leaf --memory 2GiB", "plan ant.leaf --memory 1GiB --context 1024 --disk-rate 500MB/s --json",
            "plan ant.leaf --target 1s",
        ])

    private static let own: [CommandOption<PlanCommand>] = [
        .value(
            "memory", "SIZE",
            "The budget to plan for: 512MiB, 2GiB, 4GB, bytes, or auto (default: what is free, at most the container's "
                + "limit, less a reserve).", \.engine.memory),
        .value(
            "preset", "NAME", "Plan for a published size instead: \(presets).", \.preset,
            suggest: .words(ModelPreset.allCases.map(\.rawValue))),
        .value(
            "weights", "TYPE", "Of a published size: int8 (default), q4, q3, f16 or f32.", \.weights,
            suggest: .words(WeightsArgument.allCases.map(\.rawValue))),
        .number(
            "context", "N", .context, "Tokens to hold, the soft prompt and the generated ones included (default 512).",
            \.context),
        .number("batch", "B", .texts, "Texts at the same time (default 1).", \.batch),
        .value(
            "target", "TIME",
            "In place of --memory: find the smallest memory that gives a token in this time: 1s, 500ms.", \.target),
        .value("disk-rate", "RATE", "How fast the disk is: 1GB/s, 500MB/s.", \.diskRate),
        .number("cores", "N", .threads, "Compute threads to plan for (default: those of this machine).", \.cores),
    ]

    /// What a plan says by other options, it does not take twice. Its budget limits the run that is planned, not
    /// `plan` itself.
    private static let ofEngine =
        EngineOptions.all.filter { !["memory", "threads", "io"].contains($0.name) } + EngineOptions.draftOptions
        + [EngineOptions.acceptanceOption]

    private static var presets: String { ModelPreset.allCases.map(\.rawValue).joined(separator: ", ") }

    func run(_ terminal: Terminal) throws(LeafError) {
        try validate()
        let file = try openFile()
        var options = try modelOptions(terminal)
        // What does not fit is said before anything is measured.
        if target == nil { options.memory = .bytes(try fittingBudget(file, options, terminal)) }
        let rates = try MachineRates.measure(
            for: file, rows: options.forecastRows(prompt: context), threads: cores, activations: engine.activations,
            reading: engine.reading, disk: try statedDisk(), cancellation: terminal.interrupt.cancellation,
            onStep: { terminal.progress.show($0) })
        terminal.progress.clear()
        let outlook = try Outlook(file, options, promptRows: context, rates)
        let forecast: Outlook.Forecast
        if let target {
            forecast = try self.forecast(target, outlook, terminal)
            options.memory = .bytes(forecast.plan.budget)
        } else {
            forecast = try outlook.forecast(budget: options.memory.amount)
        }
        let answer = try PlanAnswer(
            file, forecast, of: outlook, context: context, target: target?.seconds, rates, options)
        let report = PlanReport(answer: answer, hasDraftModel: engine.draftPath != nil)
        terminal.output.write(common.isJSON ? answer.json.line + "\n" : report.text)
    }

    /// The budget that was asked for, in bytes.
    private func fittingBudget(
        _ file: ModelFile, _ options: ModelOptions, _ terminal: Terminal
    ) throws(LeafError) -> Int {
        do throws(LeafError) {
            return try Model.plan(file, options).budget
        } catch {
            if error.kind == .budget, common.isJSON {
                var unlimited = options
                unlimited.memory = .bytes(.max)
                let longest = try Model.longestContext(file, options)
                terminal.output.write(
                    JSON.object([
                        ("fits", .bool(false)), ("minimum", .integer(try Model.plan(file, unlimited).minimum)),
                        ("context", .integer(context)), ("max_context", .integer(longest ?? 0)),
                    ]).line + "\n")
            }
            throw error
        }
    }

    private func forecast(
        _ target: Seconds, _ outlook: Outlook, _ terminal: Terminal
    ) throws(LeafError) -> Outlook.Forecast {
        do throws(LeafError) {
            return try outlook.forecast(secondsPerToken: target.seconds)
        } catch {
            if error.kind == .budget, common.isJSON {
                terminal.output.write(
                    JSON.object([
                        ("reached", .bool(false)), ("target_seconds_per_token", .number(target.seconds)),
                        ("best", outlook.fastest.json),
                    ]).line + "\n")
            }
            throw error
        }
    }

    private func openFile() throws(LeafError) -> ModelFile {
        switch (model, preset) {
        case (let path?, nil):
            if weights == nil {
                try tuning.open(path)
            } else {
                throw LeafError(.usage, "--weights goes with --preset; a model file has its own")
            }
        case (nil, let preset?): try tuning.beside(ModelFile(preset: preset, weights: weights?.format ?? .int8))
        case (nil, nil):
            throw LeafError(.usage, "MODEL is missing; give a .leaf file, or --preset with a published size")
        case (_?, _?): throw LeafError(.usage, "give a MODEL or --preset, not both")
        }
    }

    private func validate() throws(LeafError) {
        guard target == nil || engine.memory == .automatic else {
            throw LeafError(.usage, "--target finds the memory; leave out --memory")
        }
    }

    private func modelOptions(_ terminal: Terminal) throws(LeafError) -> ModelOptions {
        var options = engine.modelOptions(
            Demand(
                context: context * batch, longest: context, rows: max(context, batch), logitRows: batch,
                sequences: batch))
        options.threads = cores
        options.drafts = try engine.drafts(terminal)
        return options
    }

    /// The disk that the user described; nil if it can be measured.
    private func statedDisk() throws(LeafError) -> DiskRate? {
        if let diskRate { return DiskRate(bytesPerSecond: Double(diskRate.bytesPerSecond)) }
        guard model != nil else {
            throw LeafError(.usage, "a preset has no file to measure the disk with; give --disk-rate, such as 1GB/s")
        }
        return nil
    }
}

extension ModelPreset: ArgumentValue {}
