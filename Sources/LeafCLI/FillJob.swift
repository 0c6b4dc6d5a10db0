import Leafcutter

/// Texts whose blanks are filled, with the model opened for as many at once as the budget allows.
struct FillJob {
    let file: ModelFile
    let requests: [FillRequest]
    let engine: EngineOptions
    let began: ContinuousClock.Instant

    /// A filled text, and the model that did it.
    struct Answer {
        let place: Int
        let outcome: Result<Filling, LeafError>
        let model: Model
        let loadSeconds: Double
    }

    /// - Parameters:
    ///   - batch: texts at the same time at most.
    ///   - take: handed each answer as it comes.
    /// - Throws: `.budget` when the largest of them does not fit alone, `.cancelled` after an interruption.
    func run(batch: Int, _ terminal: Terminal, take: (Answer) -> Void) throws(LeafError) {
        let trace = try engine.makeTrace()
        let demands = requests.map { $0.demands(in: file.configuration) }
        var options = engine.modelOptions(ModelOptions.Capacity(context: 1), trace: trace)
        options.capacity = try ModelOptions.Capacity.fitting(
            Array(demands.joined()), sequences: requests.map(\.sequences).sorted(by: >).prefix(batch).reduce(0, +),
            file, options)
        let positions = demands.joined().map(\.positions).max() ?? 0
        if positions > PromptRows.trainedLength {
            terminal.warn(
                "the text has \(positions) tokens, soft prompt included; CPM-Ant was trained on "
                    + "\(PromptRows.trainedLength) and does less well beyond")
        }
        let model = try Model(file, options)
        let loadSeconds = (ContinuousClock.now - began) / .seconds(1)
        terminal.detail(model.plan.description)
        terminal.detail("room for \(Quantity.count(options.capacity.sequences, "sequence")) at the same time")

        let interrupt = Interrupt()
        let workingSet = WorkingSetSignals(model)
        defer { withExtendedLifetime(workingSet) {} }
        let start = ContinuousClock.now
        var (tokens, rows, finished) = (0, 0, 0)
        try model.fill(
            requests,
            isCancelled: {
                terminal.progress.show(
                    "filling: \(Quantity.count(model.counters.sweeps, "sweep")), \(finished) of \(requests.count) finished"
                )
                return interrupt.isRequested || terminal.output.isClosed
            },
            onAnswer: { place, outcome in
                finished += 1
                if case .success(let filling) = outcome {
                    tokens += filling.tokenCount
                    rows += filling.rows
                }
                take(Answer(place: place, outcome: outcome, model: model, loadSeconds: loadSeconds))
            })
        terminal.progress.clear()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        if !terminal.isQuiet, tokens > 0 {
            terminal.note("\(RunFacts(model, tokens: tokens, requests: requests.count, rows: rows, seconds: seconds))")
        }
        try engine.finish(trace, file.leaf, terminal)
        if interrupt.isRequested { throw LeafError(.cancelled, "interrupted") }
    }

    /// Says what of a text the vocabulary lacks.
    static func noteUnknowns(in text: BlankText, _ file: ModelFile, _ terminal: Terminal) throws(LeafError) {
        let tokenizer = try file.requireTokenizer()
        let unknown = text.pieces.reduce(0) { $0 + tokenizer.encode($1).count { $0 == Tokenizer.unknownID } }
        guard unknown > 0 else { return }
        terminal.note("\(Quantity.count(unknown, "character")) of the text that the vocabulary lacks were dropped")
    }
}

extension FillJob.Answer {
    /// Parts of every answer as JSON.
    func facts(_ filling: Filling) -> [(key: String, value: JSONText)] {
        let rate =
            filling.decodeSeconds > 0 ? Double(max(0, filling.tokenCount - 1)) / filling.decodeSeconds : 0
        return [
            ("seed", .unsigned(filling.seed)),
            (
                "timing",
                [
                    "load": .number(loadSeconds), "wait": .number(filling.waitSeconds),
                    "prefill": .number(filling.prefillSeconds), "decode": .number(filling.decodeSeconds),
                    "tokens_per_second": .number(rate), "sweeps": .integer(filling.sweeps),
                ]
            ),
            ("memory", .memory(model)), ("io", .io(model)),
        ]
    }
}
