import LeafArguments
import Leafcutter

/// `leafcutter embed MODEL [TEXT | -]`
struct EmbedCommand: Command {
    var model = ""
    var text: String?
    var ids: String?
    var pooling = Pooling.mean
    var task = 2
    var segment = 2
    var batch = 8
    var tuning = TuningOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<EmbedCommand>(
        name: "embed", summary: "Turn texts into vectors.",
        discussion: """
            The vector of a text is the mean of its last hidden states, after the last norm: one JSON object a text, \
            {"embedding","tokens"}. With - each line of standard input is one text; they share sweeps, and the vectors \
            come in the order of the lines.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .file),
            .optional("TEXT", "One text; - takes each line of standard input.", \.text),
        ],
        options: [
            .value("ids", "LIST", "Token ids in place of the text, with <s>: 6,20,30.", \.ids),
            .value(
                "pool", "NAME", "mean (default), or last: the last token's state.", \.pooling,
                suggest: .words(Pooling.allCases.map(\.rawValue))),
            .value("task", "N", "Soft prompt (default 2).", \.task),
            .value("segment", "N", "Segment of the text (default 2).", \.segment),
            .value("batch", "B", "Texts on a sweep at most (default 8); fewer if memory is short.", \.batch),
        ] + TuningOptions.all.map { $0.lifted(\.tuning) }
            + EngineOptions.all.map { $0.lifted(\.engine) } + CommonOptions.quietness.map { $0.lifted(\.common) },
        examples: ["embed ant.leaf '今天天气真好'", "embed ant.leaf - < sentences.txt > vectors.jsonl"])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard (1...GenerationOptions.mostSequences).contains(batch) else {
            throw LeafError(.usage, "--batch \(batch) is not between 1 and \(GenerationOptions.mostSequences)")
        }
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model)
        let requests = try readPrompts().map { prompt throws(LeafError) in
            EmbeddingRequest(
                text: try file.rows(of: prompt, GenerationOptions(task: task, segment: segment)), pooling: pooling)
        }
        guard !requests.isEmpty else { return }
        var options = engine.modelOptions(ModelOptions.Capacity(context: 1))
        let demands = requests.map { $0.demand(in: file.configuration) }
        options.capacity = try ModelOptions.Capacity.fitting(demands, sequences: batch, file, options)
        let model = try Model(file, options)
        terminal.detail(model.plan.description)

        let interrupt = Interrupt()
        let began = ContinuousClock.now
        // Those that finished before an earlier one.
        var early: [Int: [Float]] = [:]
        var next = 0
        var failure: LeafError?
        try model.embed(
            requests, isCancelled: { interrupt.isRequested || terminal.output.isClosed },
            onAnswer: { place, vector in
                switch vector {
                case .failure(let error): failure = failure ?? error
                case .success(let vector): early[place] = vector
                }
                while let vector = early.removeValue(forKey: next) {
                    terminal.print(Self.answer(vector, requests[next]))
                    next += 1
                }
                terminal.progress.show("embedding: \(next) of \(Quantity.count(requests.count, "text"))")
            })
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        let tokens = requests.reduce(0) { $0 + $1.text.ids.count }
        if !terminal.isQuiet {
            let rows = demands.reduce(0) { $0 + $1.firstRows }
            terminal.note("\(RunFacts(model, tokens: tokens, requests: requests.count, rows: rows, seconds: seconds))")
        }
        if let failure { throw failure.kind == .cancelled ? LeafError(.cancelled, "interrupted") : failure }
    }

    private static func answer(_ vector: [Float], _ request: EmbeddingRequest) -> JSONText {
        [
            "embedding": .array(vector.map { .number(Double($0)) }), "tokens": .integer(request.text.ids.count),
        ]
    }

    /// - Throws: `.usage` unless there is exactly one source.
    private func readPrompts() throws(LeafError) -> [Prompt] {
        switch (text, ids) {
        case (nil, nil): throw LeafError(.usage, "TEXT is missing; give a text, - for standard input, or --ids")
        case (.some, .some): throw LeafError(.usage, "give a text or --ids, not both")
        case (nil, .some(let ids)): return [.ids(try TokenIDs(ids).ids)]
        case (.some("-"), nil):
            var input = StandardInput()
            var prompts: [Prompt] = []
            while let line = try input.nextLine() { prompts.append(.text(line)) }
            return prompts
        case (.some(let text), nil): return [.text(text)]
        }
    }
}

extension Pooling: ArgumentValue {}
