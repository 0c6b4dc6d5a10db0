public import CPMAntShape
import LeafArguments
import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter plan MODEL|--preset NAME`
struct PlanCommand: Command {
    var model: String?
    var preset: ModelPreset?
    var context = 512
    var batch = 1
    var diskRate: ByteRate?
    var cores: Int?
    var tuning = TuningOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<PlanCommand>(
        name: "plan", summary: "Show whether a model fits a memory budget, and how fast it will be.",
        discussion: """
            Nothing large is allocated. For some fifteen seconds the processor is measured, the disk at places all over the \
            file, and both at once with the model's own blocks. --disk-rate says how fast the disk is instead; a preset \
            has no file, so it needs the rate. Exit code 3 if the model does not fit.
            """,
        arguments: [.optional("MODEL", "A .leaf file.", \.model, suggest: .file)],
        options: [
            .value(
                "preset", "NAME", "Plan for a published size instead, such as cpm-ant-3b.", \.preset,
                suggest: .words(ModelPreset.allCases.map(\.rawValue))),
            .value(
                "context", "N", "Tokens to hold, the soft prompt and the generated ones included (default 512).",
                \.context),
            .value("batch", "B", "Texts at the same time (default 1).", \.batch),
            .value("disk-rate", "RATE", "How fast the disk is: 1GB/s, 500MB/s.", \.diskRate),
            .value("cores", "N", "Compute threads to plan for (default: those of this machine).", \.cores),
        ] + TuningOptions.all.map { $0.lifted(\.tuning) }
            + EngineOptions.all.filter { $0.name != "threads" && $0.name != "io" }.map { $0.lifted(\.engine) }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "plan ant.leaf --memory 2GiB", "plan ant.leaf --memory 1GiB --context 1024 --disk-rate 500MB/s --json",
        ])

    private static let longestContext = 1 << 20

    func run(_ terminal: Terminal) throws(LeafError) {
        try validate()
        let file = try openFile()
        let options = modelOptions(context: context)
        // With unlimited memory the plan gives the smallest budget that works.
        var unlimited = options
        unlimited.memory = .bytes(Int.max)
        let minimum = try Model.plan(file, unlimited).minimum
        let plan: MemoryPlan
        do throws(LeafError) {
            plan = try Model.plan(file, options)
        } catch {
            if error.kind == .budget, common.isJSON {
                terminal.output.write(
                    JSON.object([("fits", .bool(false)), ("minimum", .integer(minimum))]).line + "\n")
            }
            throw error
        }
        let rates = try MachineRates.measure(
            for: file, rows: [batch, context], threads: cores, activations: engine.activations,
            reading: engine.reading, disk: try statedDisk(), onStep: { terminal.progress.show($0) })
        terminal.progress.clear()
        let outlook = try Outlook(file, options, promptRows: context, rates)
        let report = PlanReport(
            file: file.leaf, plan: plan, context: context, prediction: outlook.prediction(for: plan),
            more: outlook.forecasts.filter { $0.plan.budget > plan.budget }, rates: rates,
            maxContext: try longestContext(file, within: plan.budget),
            bytesPerToken: try bytesPerToken(file, unlimited))
        terminal.output.write(common.isJSON ? report.json.line + "\n" : report.text)
    }

    private func openFile() throws(LeafError) -> ModelFile {
        switch (model, preset) {
        case (let path?, nil): try tuning.open(path)
        case (nil, let preset?): try tuning.beside(ModelFile(preset: preset))
        case (nil, nil):
            throw LeafError(.usage, "MODEL is missing; give a .leaf file, or --preset with a published size")
        case (_?, _?): throw LeafError(.usage, "give a MODEL or --preset, not both")
        }
    }

    private func validate() throws(LeafError) {
        guard (1...Self.longestContext).contains(context) else {
            throw LeafError(.usage, "--context \(context) is not between 1 and \(Self.longestContext)")
        }
        guard (1...1024).contains(batch) else { throw LeafError(.usage, "--batch \(batch) is not between 1 and 1024") }
        if let cores, !(1...1024).contains(cores) {
            throw LeafError(.usage, "--cores \(cores) is not between 1 and 1024")
        }
    }

    private func modelOptions(context: Int) -> ModelOptions {
        var options = engine.modelOptions(
            Demand(
                context: context * batch, rows: max(context, batch), logitRows: batch, sequences: batch))
        options.threads = cores
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

    /// Finds the longest context whose plan fits by bisection: more context never needs less memory.
    private func longestContext(_ file: ModelFile, within budget: Int) throws(LeafError) -> Int {
        func fits(_ context: Int) throws(LeafError) -> Bool {
            var options = modelOptions(context: context)
            options.memory = .bytes(Int.max)
            return try Model.plan(file, options).minimum <= budget
        }
        var longest = context
        var tooLong = Self.longestContext
        if try fits(tooLong) { return tooLong }
        while tooLong - longest > 1 {
            let middle = (longest + tooLong) / 2
            if try fits(middle) { longest = middle } else { tooLong = middle }
        }
        return longest
    }

    /// Bytes of the KV cache for one more token; the cache grows by pages.
    private func bytesPerToken(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) -> Int {
        let span = 1024
        var larger = options
        larger.capacity.pages +|= Demand.pages(holding: span)
        return (try Model.plan(file, larger).bytes(for: .kv) - Model.plan(file, options).bytes(for: .kv)) / span
    }
}

extension ModelPreset: ArgumentValue {}
