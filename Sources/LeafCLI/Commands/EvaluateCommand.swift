import LeafArguments
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter evaluate MODEL TASK DATA.jsonl`
struct EvaluateCommand: Command {
    var model = ""
    var task = ""
    var data = ""
    var output: String?
    var limit: Int?
    var maxLength: Int?
    var beams: Int?
    var isGreedy = false
    var maxTokens: Int?
    var repetitionPenalty: Float?
    var repetitionWindow: Int?
    var scoring = ScoringOptions(task: 1)
    var common = CommonOptions()

    static let syntax = CommandSyntax<EvaluateCommand>(
        name: "evaluate", summary: "Measure a model on the tasks of CUGE that CPM-Ant was published on.",
        discussion: """
            CCPM, LCSTS, KdConv and Math23K continue {"input","target"}, with three beams as CPM-Live does. C3 chooses by \
            {"input","options":[..],"target":0}. Sogou-Log ranks {"input","query","target"}, where the lines of one query \
            belong together and the target says how relevant each is. An "id" is repeated in the predictions; lines \
            without a target count for nothing but those.

            Metrics are shares from 0 to 1: accuracy; for Math23K also of answers that are the same text (exact_match); \
            for LCSTS ROUGE-1, 2 and L; for KdConv BLEU-1 to 4 and Distinct-1 and 2, all of characters; for Sogou-Log \
            nDCG of the first 1, 5, 10 and all lines.

            Lines are read twice, as they are needed, and ride on shared sweeps. What comes from a pipe is kept in memory \
            meanwhile, up to 64 MiB or half of what --memory leaves. CPM-Live's adapters for these tasks were tuned \
            with soft prompt 1 and texts of 256 positions at most (C3 1024, KdConv 1500), the soft prompt and what is \
            generated included; of a longer input the beginning is cut away.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .required(
                "TASK", "CCPM, C3, Sogou-Log, LCSTS, KdConv or Math23K.", \.task,
                suggest: .words(EvaluationTasks.all.map(\.name))),
            .required("DATA", "The items, one JSON object a line; - is standard input.", \.data, suggest: .file),
        ],
        options: [
            .value(
                "output", "FILE", "Write what the model made of each item, one JSON object a line, in their order.",
                \.output, suggest: .file),
            .number("limit", "N", .init(1...), "Only the first N items.", \.limit),
            .number(
                "max-length", "N", .init(0..., "0 reads texts whole"),
                "Positions of a text at most (default: the task's; 0 reads texts whole, as CPM-Live's inference does).",
                \.maxLength),
            .number("beams", "K", .beams, "Beams (default 3).", \.beams),
            .flag("greedy", "Take the most likely token each time.", \.isGreedy),
            .number("max-tokens", "N", .maxTokens, "Tokens to generate at most (default: the task's).", \.maxTokens),
            .number(
                "repetition-penalty", "R", .repetitionPenalty,
                "Make generated tokens less likely to come again (default 1: off).",
                \.repetitionPenalty),
            .number(
                "repetition-window", "N", .repetitionWindow, "Only the last N tokens count for it (default: all).",
                \.repetitionWindow),
        ] + ScoringOptions.all(task: "Soft prompt (default 1, with which CPM-Live tuned).").map { $0.lifted(\.scoring) }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "evaluate ant.leaf C3 c3/test.jsonl --delta c3.pt --memory 4GiB --batch 32",
            "evaluate ant.leaf LCSTS lcsts/test.jsonl --delta lcsts.pt --output summaries.jsonl --limit 100",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let task = EvaluationTasks.named(task) else {
            let names = EvaluationTasks.all.map(\.name)
            let advice = NearestName.of(task, among: names).map { "did you mean \($0)?" }
            throw LeafError(
                .usage, "there is no task '\(task)'; \(advice ?? "there are \(names.joined(separator: ", "))")")
        }
        try evaluate(task, terminal)
    }

    private func evaluate<Task: EvaluationTask>(_ task: Task, _ terminal: Terminal) throws(LeafError) {
        let options = try decoding(of: task)
        let file = try scoring.open(model, terminal)
        let form = try file.evaluationForm(
            of: task, options, maxLength: maxLength == 0 ? nil : maxLength ?? task.maxLength)
        var lines: DataLines<Task.Item> = try items(file, terminal)
        let survey = try DataSurvey(task, form, &lines, batch: scoring.batch.count, file, terminal)
        guard survey.wanted > 0 || output != nil else {
            throw LeafError(.usage, "no line of \(data) has a 'target'; give --output FILE to have predictions alone")
        }
        let predictions = try output.map { path throws(LeafError) in
            try OutputTarget.check(path, isNoneOf: scoring.engine.inputs(of: file) + [data])
            return try UnfinishedFile(path: path, isCancelled: { Interrupt.isAnyRequested })
        }
        let run = try SharedRun(
            survey.demands.demands, count: survey.items, bytes: survey.bytes, sequences: scoring.batch.count,
            scoring.engine, file, terminal)

        var report = EvaluationReport(task: task.name, metrics: task.metrics)
        // The ids of items that are being evaluated.
        var ids: [Int: JSON] = [:]
        var failure: LeafError?
        var taken = 0
        func show(_ done: Int) {
            var progress = Progress("evaluating", done, of: survey.items, "item")
            progress.sweep = .step
            terminal.progress.show(progress)
        }
        show(0)
        do throws(LeafError) {
            try run.model.evaluate(
                task, form, ahead: 2 * scoring.batch.count, cancellation: run.cancellation,
                next: { () throws(LeafError) in
                    guard let line = try lines.next() else { return nil }
                    ids[taken] = line.id
                    taken += 1
                    return line.item
                },
                onOutput: { number, item, output in
                    report.add(output, for: item)
                    let id = ids.removeValue(forKey: number)
                    do throws(LeafError) {
                        try predictions?.append(EvaluationAnswer(id: id, item.wanted, output).json.line + "\n")
                        try predictions?.flush()
                    } catch {
                        failure = error
                        run.cancellation.cancel()
                    }
                    show(number + 1)
                })
        } catch {
            failure = failure ?? error
        }
        terminal.progress.clear()
        // Results so far are useful after an interruption or a failure too.
        if report.items > 0 { try predictions?.finish() }
        if let failure { throw failure }
        terminal.output.write(
            common.isJSON ? report.json(cut: survey.cut, seconds: run.seconds, run.model).line + "\n" : report.text)
        terminal.output.flush()
        if survey.cut > 0 {
            terminal.note("the beginning of \(Quantity.count(survey.cut, "item")) was cut away; see --max-length")
        }
        run.tell(tokens: report.tokens, requests: report.items)
        if run.isInterrupted {
            throw LeafError(.cancelled, "interrupted after \(report.items) of \(Quantity.count(survey.items, "item"))")
        }
    }

    private func items<Item>(_ file: ModelFile, _ terminal: Terminal) throws(LeafError) -> DataLines<Item> {
        try DataLines(path: data, limit: limit, terminal) { () throws(LeafError) in
            do throws(LeafError) {
                // The other half is for the texts themselves.
                let plan = try Model.plan(file, scoring.engine.modelOptions(Demand(context: 1)))
                return max(Self.kept.lowerBound, min(Self.kept.upperBound, (plan.budget - plan.minimum) / 2))
            } catch {
                guard error.kind == .budget else { throw error }
                // Only with the items can a refusal say how much would do.
                return Self.kept.lowerBound
            }
        }
    }

    /// Bytes that are kept of a pipe: so many whatever the budget, which the plan counts, and so many at most.
    private static let kept = 1 << 20...64 << 20

    /// CPM-Live's beam search, with the options that the user gave.
    private func decoding(of task: some EvaluationTask) throws(LeafError) -> GenerationOptions {
        var options = scoring.form
        guard let tokens = task.maxTokens else {
            guard beams == nil, !isGreedy, maxTokens == nil, repetitionPenalty == nil, repetitionWindow == nil else {
                throw LeafError(.usage, "\(task.name) generates nothing; leave out what says how")
            }
            return options
        }
        guard beams == nil || !isGreedy else { throw LeafError(.usage, "give --greedy or --beams, not both") }
        options.decoding = isGreedy ? .greedy : .beams(beams ?? 3)
        options.maxTokens = maxTokens ?? tokens
        options.repetitionPenalty = repetitionPenalty ?? 1
        options.repetitionWindow = repetitionWindow
        try options.validate()
        return options
    }
}
