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
        let demands = Array(requests.map { $0.demands(in: file.configuration) }.joined())
        let run = try SharedRun(
            demands, sequences: requests.map(\.sequences).sorted(by: >).prefix(batch).reduce(0, +), of: "sequence",
            engine, file, since: began, terminal)
        let positions = demands.map(\.positions).max() ?? 0
        if positions > PromptRows.trainedLength {
            terminal.warn(
                "the text has \(positions) tokens, soft prompt included; CPM-Ant was trained on "
                    + "\(PromptRows.trainedLength) and does less well beyond")
        }
        var (tokens, rows, finished) = (0, 0, 0)
        try run.model.answer(
            requests, cancellation: run.cancellation,
            onAnswer: { place, outcome in
                finished += 1
                if case .success(let filling) = outcome {
                    tokens += filling.tokenCount
                    rows += filling.rows
                }
                take(Answer(place: place, outcome: outcome, model: run.model, loadSeconds: run.loadSeconds))
            },
            onProgress: { _ in
                terminal.progress.show(
                    "filling: \(Quantity.count(run.model.counters.sweeps, "sweep")), "
                        + "\(finished) of \(requests.count) finished")
            })
        terminal.progress.clear()
        if tokens > 0 { run.tell(tokens: tokens, requests: requests.count, rows: rows) }
        try run.finishTrace()
        if run.isInterrupted { throw LeafError(.cancelled, "interrupted") }
    }

    /// Fills the only text: prints what became of it, and tells of what the vocabulary lacks and of a seed that was drawn.
    ///
    /// - Parameters:
    ///   - text: what the request was made of.
    ///   - result: the line to print; `json` is printed in its place if `isJSON`.
    /// - Throws: why it was not filled.
    func runOne(
        _ text: BlankText, _ terminal: Terminal, isJSON: Bool, result: (Filling) -> String,
        json: (Filling, Answer) -> JSONText
    ) throws(LeafError) {
        try noteUnknowns(in: text, terminal)
        let options = requests[0].options
        var failure: LeafError?
        try run(batch: 1, terminal) { answer in
            switch answer.outcome {
            case .failure(let error): failure = error
            case .success(let filling):
                if isJSON {
                    terminal.print(json(filling, answer))
                } else {
                    terminal.progress.clear()
                    terminal.output.write(result(filling) + "\n")
                    terminal.output.flush()
                }
                if options.decoding == .sampling, options.seed == nil { terminal.note("seed \(filling.seed)") }
            }
        }
        if let failure { throw failure }
    }

    private func noteUnknowns(in text: BlankText, _ terminal: Terminal) throws(LeafError) {
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
