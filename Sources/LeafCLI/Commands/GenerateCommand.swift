import LeafArguments
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter generate MODEL [PROMPT | -]`
struct GenerateCommand: Command {
    var model = ""
    var prompt: String?
    var ids: String?
    var suffix: String?
    var maxTokens: Int?
    var task: Int?
    var segment: Int?
    var samples = 1
    var batch = BatchSize(8)
    var lines = LineOptions()
    var session: String?
    var sessionInterval: Int?
    var quietsPast = false
    /// Names of the options that were typed.
    var given: Set<String> = []
    var isGreedy = false
    var beams: Int?
    var allowsEmpty = false
    var biases: [LogitBiasArgument] = []
    var options = GenerationOptions()
    var tuning = TuningOptions()
    var engine = EngineOptions(speculate: "auto")
    var common = CommonOptions()

    static let syntax = CommandSyntax<GenerateCommand>(
        name: "generate", summary: "Continue a text.",
        discussion: """
            The text goes to standard output as it comes; --json prints one object at the end instead. Defaults are \
            CPM-Live's. Ctrl-C ends the text cleanly.

            --prompts runs many texts on shared sweeps, one a line. With --requests each line is a JSON object: \
            "prompt" or "input_ids", any option in snake_case where it differs from the command line ("max_tokens", \
            "top_p", "n", ..), and an "id" that its answer repeats; otherwise the number of its line is its id. \
            Answers are JSON lines in the order in which they finish, and behind them {"summary"} with the facts of \
            the process: time, memory, reading. --ordered and --format change that. The lines may come from a pipe, \
            or from standard input with --requests - or --lines; --context then says how long requests may be.

            --session keeps a generation in a file, at the end and when it is interrupted. The same command goes on \
            from there and gives what it would have given without the stop. The prompt and the options may be left \
            out then: the file has them (leafcutter inspect FILE shows which). Only --max-tokens it has not; that \
            counts from the very beginning; a larger one goes on with a text that ended by its length. \
            --quiet-past prints the new part alone, so that >> joins the parts. A session goes on with what the model \
            wrote and nothing else: to add sentences of your own, begin another session with everything so far, and \
            them, as its prompt.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .optional("PROMPT", "The text to continue; - takes all of standard input as it is.", \.prompt),
        ],
        options: all.map { $0.noting(\.given) },
        examples: [
            "generate ant.leaf '今天天气真好，' --memory 2GiB",
            "generate ant.leaf - --greedy --max-tokens 200 < beginning.txt",
            "generate ant.leaf --ids 6,240,3063 --json",
            "generate ant.leaf '新年快乐，' --beams 3 --repetition-penalty 1.2",
            "generate ant.leaf '春眠不觉晓，' --suffix '花落知多少。' --greedy",
            "generate ant.leaf --requests prompts.jsonl --batch 16 > answers.jsonl",
            "generate ant.leaf --prompts prompts.txt --ordered --echo-prompt --format csv > answers.csv",
            "generate ant.leaf '很久以前，' --max-tokens 2000 --session tale.session --session-every 50",
            "generate ant.leaf --session tale.session --max-tokens 4000 --quiet-past >> tale.txt",
        ])

    private static let all: [CommandOption<GenerateCommand>] =
        choices + (LineOptions.sources + LineOptions.all).map { $0.lifted(\.lines) } + sampling + form
        + (TuningOptions.all + [TuningOptions.corpus]).map { $0.lifted(\.tuning) }
        + (EngineOptions.generating + [EngineOptions.shareOption]).map { $0.lifted(\.engine) }
        + CommonOptions.all.map { $0.lifted(\.common) }

    private static let choices: [CommandOption<GenerateCommand>] = [
        .value("ids", "LIST", "Token ids in place of the text, with <s>: 6,20,30.", \.ids),
        .value(
            "suffix", "TEXT",
            "Write what fits between PROMPT and this: --max-tokens (default 8 then) is the longest that is tried.",
            \.suffix),
        .number("max-tokens", "N", .maxTokens, "Tokens to generate at most (default 100).", \.maxTokens),
        .flag("greedy", "Take the most likely token each time.", \.isGreedy),
        .number(
            "beams", "K", .beams,
            "Beam search with K beams; --max-tokens is CPM-Live's max_length then, and the text may have one "
                + "more.", \.beams),
        .number(
            "number", letter: "n", "N", .texts,
            "Texts to generate, on the same sweeps (default 1); the N best with --beams.",
            \.samples),
        .value(
            "batch", "B", "With many requests: texts at the same time at most (default 8); fewer if memory is short.",
            \.batch),
        .value(
            "session", "FILE", "Keep the generation in this file, and go on from it.", \.session, suggest: .file),
        .number(
            "session-every", "N", .init(1...),
            "With --session: save after every N tokens too (default: at the end alone).",
            \.sessionInterval),
        .flag(
            "quiet-past",
            "With --session: print only what is new, and a line break behind it only once the text has ended.",
            \.quietsPast),
        .values("stop", "STRING", "End before this string; may be given several times.", \.options.stop),
        .number(
            "logprobs", "K", .init(GenerationOptions.logprobCounts),
            "With --json: log-probabilities of each token and the K best. Lines from a pipe may ask for as many, at "
                + "least for 20: memory for their answers is planned before they come.", \.options.logprobs),
    ]

    private static let sampling: [CommandOption<GenerateCommand>] =
        (DecodingOptions.randomness + DecodingOptions.penalties).map { $0.lifted(\.options) }
        + [
            .values(
                "logit-bias", "ID=VALUE", "Add to a token's logit; may be given several times.", \.biases),
            .number(
                "length-penalty", "P", .init(GenerationOptions.lengthPenalties, "1 is usual"),
                "With --beams: above 1 favours long texts, 0 counts no length (default 1).",
                \.options.lengthPenalty),
            .flag(
                "early-stopping", "With --beams: end with as many texts as there are beams.", \.options.earlyStopping),
        ]

    private static let form: [CommandOption<GenerateCommand>] = [
        .flag("allow-empty", "Let the text begin with a line break or end at once.", \.allowsEmpty),
        .number(
            "eos-id", "ID", .init(0...(1 << 24) - 1, "CPM-Ant's is 7"), "The token that ends a text (default 7).",
            \.options.eosID),
        .number(
            "task", "N", .softPrompt, "Soft prompt (default 2; 1, which was trained on blanks, with --suffix).",
            \.task),
        .number("segment", "N", .segment, "Segment of the text (default 2; 1 with --suffix).", \.segment),
        .value(
            "compat", "NAME",
            "Generate as cpm-live does (default), as transformers, as transformers-raw, which takes soft prompts for "
                + "tokens, or as transformers-uncached, which reads the whole text anew for each token.",
            \.options.compatibility, suggest: .words(Compatibility.allCases.map(\.rawValue))),
    ]

    func run(_ terminal: Terminal) throws(LeafError) {
        let options = try definiteOptions()
        let source = try lines.source(beside: prompt, hasIDs: ids != nil)
        guard session == nil || (suffix == nil && source == nil) else {
            throw LeafError(
                .usage,
                "--session keeps what goes on from one prompt; it cannot be given with --requests, --prompts, --lines "
                    + "or --suffix")
        }
        if let suffix {
            guard source == nil else { throw Self.suffixOfMany }
            return try runSuffix(suffix, options, terminal)
        }
        guard let source else { return try runOne(terminal) }
        guard options.logprobs == nil || lines.answers.format == .jsonl else {
            throw LeafError(.usage, "--logprobs has no place in a table; leave out --format")
        }
        try runRequests(source, GenerateInput.Defaults(options: options, samples: samples), terminal)
    }

    /// The options, including those that have another form on the command line.
    func definiteOptions() throws(LeafError) -> GenerationOptions {
        var options = options
        guard beams == nil || !isGreedy else { throw LeafError(.usage, "give --greedy or --beams, not both") }
        options.decoding = beams.map { .beams($0) } ?? (isGreedy ? .greedy : .sampling)
        if allowsEmpty { options.allowEmpty = true }
        let usual = suffix == nil ? GenerationOptions() : .filling
        options.task = task ?? usual.task
        options.segment = segment ?? usual.segment
        options.maxTokens = maxTokens ?? (suffix == nil ? options.maxTokens : FillRequest.usualLongest)
        for bias in biases { options.logitBias[bias.id] = bias.value }
        options = options.withGreedyAtZero
        try options.validate()
        return options
    }

    private func runOne(_ terminal: Terminal) throws(LeafError) {
        let start = ContinuousClock.now
        terminal.progress.show("opening \(model)")
        let session = try openSession()
        let (file, prompt, command, pastTokens) = try openPrompt(or: session, terminal)
        try command.generate(prompt, file, session, pastTokens: pastTokens, since: start, terminal)
    }

    /// - Parameter pastTokens: tokens that the session has.
    private func generate(
        _ prompt: Prompt, _ file: ModelFile, _ session: Session?, pastTokens: Int,
        since start: ContinuousClock.Instant, _ terminal: Terminal
    ) throws(LeafError) {
        let (interrupt, options) = (terminal.interrupt, try definiteOptions())  // Takes signals from here on.
        let trace = try engine.makeTrace(beside: file, session: session)
        let request = GenerationRequest(
            prompt: try file.rows(of: prompt, options), options: options, samples: samples, session: session)
        warnOfUnknowns(in: prompt, request.prompt, terminal)
        try request.validate(for: file.configuration)
        if let warning = request.lengthWarning(in: file.configuration) { terminal.warn(warning) }
        let demand = request.demand(in: file.configuration)
        var modelOptions = engine.modelOptions(Demand(together: [demand]), trace: trace)
        modelOptions.keepsSessions = session != nil
        modelOptions.drafts = try engine.drafts(terminal)
        modelOptions.callerBytes =
            common.isJSON ? request.answerRoom.written : quietsPast ? NewPart.bytes(tokens: pastTokens) : 0
        try Session.check(request, for: file, modelOptions)
        let model = try Model(file, modelOptions)
        let loadSeconds = (ContinuousClock.now - start) / .seconds(1)
        terminal.tellPlan(of: model)

        let cancellation = Cancellation(parent: interrupt.cancellation)
        terminal.output.whenClosed = { cancellation.cancel() }
        try terminal.attend(model)
        let streams = !common.isJSON && samples == 1
        var watch = TokenWatch(past: pastTokens)
        func show() { terminal.progress.show(watch.progress(at: .now, streams: streams)) }
        var newPart = quietsPast ? NewPart(after: pastTokens, file.tokenizer) : nil
        show()
        var reported: LeafError?
        let generation = try model.generate(
            prompt, options, samples: samples, session: session, cancellation: cancellation,
            onPiece: { piece in
                if piece.id != nil { watch.count(at: .now) }
                show()
                guard streams else { return }
                terminal.output.write(newPart?.take(piece) ?? piece.text)
                terminal.output.flush()
            },
            onProgress: { progress in
                watch.rows = progress.rows
                show()
                // A failure of the last saving is reported at the end.
                if let failure = session?.passingFailure, failure != reported {
                    reported = failure
                    terminal.warn("\(failure); it is tried again later")
                }
            })
        terminal.progress.clear()
        if common.isJSON {
            let answer = GenerationAnswer(request, generation, model, loadSeconds: loadSeconds)
            terminal.output.write(answer.json().line + "\n")
        } else if streams {
            terminal.output.write(ending(of: generation, on: terminal))
        } else {
            terminal.output.write(generation.samples.map { $0.text + "\n" }.joined(separator: "\n"))
        }
        terminal.output.flush()
        if options.decoding == .sampling, options.seed == nil { terminal.note("seed \(generation.seed)") }
        if session == nil || generation.sweeps > 0 || interrupt.isRequested, !terminal.isQuiet {
            terminal.note("\(RunFacts(model, generation, promptRows: demand.firstRows))")
        }
        if let session { tell(of: session, generation, terminal) }
        try engine.finish(trace, file.leaf, terminal)
        engine.keepAcceptance(of: model, warning: terminal.warn)
        if let failure = session?.failure { throw failure }
        if interrupt.isRequested { throw interruption(of: generation, session) }
    }

    /// - Throws: `.usage` unless there is exactly one prompt.
    func readPrompt() throws(LeafError) -> Prompt {
        guard let prompt = try givenPrompt() else { throw Self.missingPrompt }
        return prompt
    }

    static let missingPrompt = LeafError(
        .usage, "PROMPT is missing; give a text, - for standard input, or --ids")

    /// Nil if none is given.
    func givenPrompt() throws(LeafError) -> Prompt? {
        switch (prompt, ids) {
        case (nil, nil): return nil
        case (.some, .some): throw LeafError(.usage, "give a text or --ids, not both")
        case (nil, .some(let ids)): return .ids(try TokenIDs(ids).ids)
        case (.some("-"), nil): return .text(try StandardInput.text())
        case (.some(let text), nil): return .text(text)
        }
    }

    /// - Parameter rows: what the prompt became.
    private func warnOfUnknowns(in prompt: Prompt, _ rows: PromptRows, _ terminal: Terminal) {
        guard case .text(let text) = prompt else { return }
        if rows.ids == [Tokenizer.bosID] {
            terminal.warn(
                text.isEmpty
                    ? "the prompt is empty; the text begins from <s> alone"
                    : "the vocabulary has nothing of the prompt; the text begins from <s> alone")
        } else {
            terminal.note(rows.unknown, of: "the prompt")
        }
    }
}
