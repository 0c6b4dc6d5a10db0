import LeafArguments
import Leafcutter

/// `leafcutter generate MODEL [PROMPT | -]`
struct GenerateCommand: Command {
    /// Drafts change no output, and there are none yet.
    enum Speculation: String, CaseIterable, ArgumentValue {
        case off
    }

    var model = ""
    var prompt: String?
    var ids: String?
    var samples = 1
    var isGreedy = false
    var speculation = Speculation.off
    var options = GenerationOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<GenerateCommand>(
        name: "generate", summary: "Continue a text.",
        discussion: """
            The text goes to standard output as it comes; --json prints one object at the end instead. Defaults are \
            CPM-Live's. Ctrl-C ends the text cleanly.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .file),
            .optional("PROMPT", "The text to continue; - takes all of standard input as it is.", \.prompt),
        ],
        options: choices + sampling + form
            + (EngineOptions.all + [EngineOptions.traceOption]).map { $0.lifted(\.engine) }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "generate ant.leaf '今天天气真好，' --memory 2GiB",
            "generate ant.leaf - --greedy --max-tokens 200 < beginning.txt",
            "generate ant.leaf --ids 6,240,3063 --json",
        ])

    private static let choices: [CommandOption<GenerateCommand>] = [
        .value("ids", "LIST", "Token ids in place of the text, with <s>: 6,20,30.", \.ids),
        .value("max-tokens", "N", "Tokens to generate at most (default 100).", \.options.maxTokens),
        .flag("greedy", "Take the most likely token each time.", \.isGreedy),
        .value("number", letter: "n", "N", "Texts to generate, on the same sweeps (default 1).", \.samples),
        .values("stop", "STRING", "End before this string; may be given several times.", \.options.stop),
        .value("logprobs", "K", "With --json: log-probabilities of each token and the K best.", \.options.logprobs),
    ]

    private static let sampling: [CommandOption<GenerateCommand>] = [
        .value("temperature", "T", "Below 1 safer, above 1 wilder (default 0.9).", \.options.temperature),
        .value(
            "top-p", "P", "Sample from the best tokens that make up this probability (default 0.9).", \.options.topP),
        .value("top-k", "K", "Sample from the K best tokens (default 0: all).", \.options.topK),
        .value("min-p", "P", "Drop tokens below this share of the best one's probability (default 0).", \.options.minP),
        .value("seed", "N", "The same seed gives the same text (default: random, printed).", \.options.seed),
        .value(
            "repetition-penalty", "R", "Make generated tokens less likely to come again (default 1: off).",
            \.options.repetitionPenalty),
        .value(
            "repetition-window", "N", "Only the last N tokens count for it (default: all).",
            \.options.repetitionWindow),
    ]

    private static let form: [CommandOption<GenerateCommand>] = [
        .flag("allow-empty", "Let the text begin with a line break or end at once.", \.options.allowEmpty),
        .value("eos-id", "ID", "The token that ends a text (default 7).", \.options.eosID),
        .value("task", "N", "Soft prompt (default 2; 1 was trained on blanks).", \.options.task),
        .value("segment", "N", "Segment of the text (default 2).", \.options.segment),
        .value(
            "speculate", "MODE", "Drafts: off.", \.speculation,
            suggest: .words(Speculation.allCases.map(\.rawValue))),
    ]

    func run(_ terminal: Terminal) throws(LeafError) {
        var options = options
        options.decoding = isGreedy ? .greedy : .sampling
        try options.validate()
        guard (1...1024).contains(samples) else {
            throw LeafError(.usage, "-n \(samples) is not between 1 and 1024")
        }
        let trace = try engine.makeTrace()
        let start = ContinuousClock.now
        terminal.progress.show("opening \(model)")
        let file = try ModelFile(path: model)
        let prompt = try readPrompt()
        try warnOfUnknowns(in: prompt, file, terminal)
        let rows = try file.rows(of: prompt, options)
        let request = GenerationRequest(prompt: rows, options: options, samples: samples)
        let promptRows = rows.length(in: file.configuration)
        let capacity = ModelOptions.Capacity(
            context: request.positions(in: file.configuration), rows: max(promptRows, samples), logitRows: samples,
            sequences: samples)
        let model = try Model(file, engine.modelOptions(capacity, trace: trace))
        let loadSeconds = (ContinuousClock.now - start) / .seconds(1)
        terminal.detail(model.plan.description)

        let interrupt = Interrupt()
        let workingSet = WorkingSetSignals(model)
        defer { withExtendedLifetime(workingSet) {} }
        let streams = !common.isJSON && samples == 1
        var tokens = 0
        var prefill = Counters()
        let generation = try model.generate(
            prompt, options, samples: samples,
            isCancelled: {
                if tokens == 0 { terminal.progress.show(Self.promptProgress(model)) }
                return interrupt.isRequested || terminal.output.isClosed
            },
            onPiece: { piece in
                terminal.progress.clear()
                if tokens == 0 { prefill = model.counters }
                tokens += 1
                guard streams else {
                    terminal.progress.show("generating: \(Quantity.count(tokens, "token"))")
                    return
                }
                terminal.output.write(piece.text)
                terminal.output.flush()
            })
        terminal.progress.clear()
        if common.isJSON {
            terminal.output.write(json(generation, model, loadSeconds).line + "\n")
        } else {
            terminal.output.write(streams ? "\n" : generation.samples.map { $0.text + "\n" }.joined(separator: "\n"))
        }
        terminal.output.flush()
        if !isGreedy, options.seed == nil { terminal.note("seed \(generation.seed)") }
        if !terminal.isQuiet {
            terminal.note("\(RunFacts(model, generation, promptRows: promptRows, prefill: prefill))")
        }
        try engine.finish(trace, file.leaf, terminal)
        if interrupt.isRequested {
            throw LeafError(.cancelled, "interrupted after \(Quantity.count(generation.completionTokens, "token"))")
        }
    }

    /// - Throws: `.usage` unless there is exactly one prompt.
    private func readPrompt() throws(LeafError) -> Prompt {
        switch (prompt, ids) {
        case (nil, nil): throw LeafError(.usage, "PROMPT is missing; give a text, - for standard input, or --ids")
        case (.some, .some): throw LeafError(.usage, "give a text or --ids, not both")
        case (nil, .some(let ids)): return .ids(try TokenIDs(ids).ids)
        case (.some("-"), nil): return .text(try StandardInput.text())
        case (.some(let text), nil): return .text(text)
        }
    }

    private func warnOfUnknowns(in prompt: Prompt, _ file: ModelFile, _ terminal: Terminal) throws(LeafError) {
        guard case .text(let text) = prompt else { return }
        let ids = try file.requireTokenizer().encode(text)
        let unknown = ids.count { $0 == Tokenizer.unknownID }
        if unknown == ids.count {
            terminal.warn(
                text.isEmpty
                    ? "the prompt is empty; the text begins from <s> alone"
                    : "the vocabulary has nothing of the prompt; the text begins from <s> alone")
        } else if unknown > 0 {
            terminal.note(
                "\(Quantity.count(unknown, "character")) of the prompt that the vocabulary lacks were dropped")
        }
    }

    private static func promptProgress(_ model: Model) -> String {
        let done = min(model.counters.chunksServed, model.plan.chunkCount)
        return "reading the prompt: \(100 * done / max(1, model.plan.chunkCount)) %"
    }

    private func json(_ generation: Generation, _ model: Model, _ loadSeconds: Double) -> JSONText {
        let first = generation.samples[0]
        func fields(_ sample: Generation.Sample) -> [(key: String, value: JSONText)] {
            var fields: [(key: String, value: JSONText)] = [
                ("text", model.tokenizer == nil ? .null : .string(sample.text)), ("ids", .ids(sample.ids)),
                ("finish_reason", .string(sample.finishReason.rawValue)),
            ]
            if options.logprobs != nil { fields.append(("logprobs", .logprobs(sample.logprobs))) }
            return fields
        }
        let decoded = generation.completionTokens - samples
        let rate = generation.decodeSeconds > 0 ? Double(max(0, decoded)) / generation.decodeSeconds : 0
        var object = fields(first)
        object += [
            ("prompt_tokens", .integer(generation.promptTokens)),
            ("completion_tokens", .integer(generation.completionTokens)), ("seed", .unsigned(generation.seed)),
        ]
        if samples > 1 { object.append(("choices", .array(generation.samples.map { .object(fields($0)) }))) }
        object += [
            (
                "timing",
                [
                    "load": .number(loadSeconds), "prefill": .number(generation.prefillSeconds),
                    "decode": .number(generation.decodeSeconds), "tokens_per_second": .number(rate),
                    "sweeps": .integer(generation.sweeps),
                ]
            ),
            ("memory", .memory(model)), ("io", .io(model)),
            (
                "speculation",
                [
                    "drafted": .integer(0), "accepted": .integer(0),
                    "tokens_per_sweep": .number(
                        Double(generation.completionTokens) / Double(max(1, generation.sweeps))),
                ]
            ),
        ]
        return .object(object)
    }
}
