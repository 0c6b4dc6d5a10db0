import LeafArguments
import LeafFormat
import LeafWire
import Leafcutter

/// `leafcutter fill MODEL TEXT`
struct FillCommand: Command {
    var model = ""
    var text: String?
    var batch = 8
    var longest = FillRequest.usualLongest
    var lines = LineOptions()
    var isGreedy = false
    var samples = false
    var beams: Int?
    var biases: [LogitBiasArgument] = []
    var options = GenerationOptions.filling
    var tuning = TuningOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    /// Options that turn sampling on.
    private var sampled: GenerationOptions {
        get { options }
        set {
            options = newValue
            samples = true
        }
    }

    static let syntax = CommandSyntax<FillCommand>(
        name: "fill", summary: "Fill the blanks of a text.",
        discussion: """
            A blank is written <blank:3> where three tokens are missing, or <blank> where their number is not known: \
            all numbers up to --max-blank are tried on the same sweeps, and the one whose tokens have the best mean \
            log-probability stays. Several blanks are filled from left to right. The text with its blanks filled \
            goes to standard output.

            The most likely token is taken each time, and any token may stand in a blank. --sample, or an option of \
            sampling, draws instead; --beams K searches.

            --prompts fills many texts on shared sweeps, one a line. With --requests each line is a JSON object: \
            "text", any option in snake_case where it differs from the command line ("max_blank", "beams", \
            "temperature", ..), and an "id" that its answer repeats; otherwise the number of its line is its id. \
            Answers are JSON lines in the order in which they finish, and behind them {"summary"} with the facts of \
            the process.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .optional("TEXT", "The text with its blanks; - takes all of standard input as it is.", \.text),
        ],
        options: choices + (LineOptions.sources + LineOptions.all).map { $0.lifted(\.lines) }
            + TuningOptions.all.map { $0.lifted(\.tuning) }
            + (EngineOptions.all + [EngineOptions.traceOption]).map { $0.lifted(\.engine) }
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "fill ant.leaf '床前<blank:1>光，疑是地上霜。' --memory 2GiB",
            "fill ant.leaf '今天天气<blank>，我们去公园<blank>。' --max-blank 4",
            "fill ant.leaf '白日依山尽，<blank:4>。' --beams 5 --json",
            "fill ant.leaf --requests gaps.jsonl > answers.jsonl",
        ])

    private static let choices: [CommandOption<FillCommand>] =
        [
            .number(
                "max-blank", "N", .init(FillRequest.openLengths),
                "Tokens of a blank without a number at most (default 8).", \.longest),
            .number(
                "batch", "B", .texts,
                "With many requests: texts at the same time at most (default 8); fewer if memory is short.",
                \.batch),
            .flag("greedy", "Take the most likely token each time (default).", \.isGreedy),
            .number("beams", "K", .beams, "Beam search with K beams.", \.beams),
            .flag("sample", "Draw tokens by their probability, as generate does.", \.samples),
        ] + DecodingOptions.randomness.map { $0.lifted($0.name == "seed" ? \.options : \.sampled) }
        + DecodingOptions.penalties.map { $0.lifted(\.options) } + [
            .values("logit-bias", "ID=VALUE", "Add to a token's logit; may be given several times.", \.biases),
            .number("task", "N", .softPrompt, "Soft prompt (default 1, which was trained on blanks).", \.options.task),
            .number("segment", "N", .segment, "Segment of the text (default 1).", \.options.segment),
        ]

    func run(_ terminal: Terminal) throws(LeafError) {
        let began = ContinuousClock.now
        var options = options
        for bias in biases { options.logitBias[bias.id] = bias.value }
        options.decoding = try GenerationOptions.Decoding(
            greedy: isGreedy, sample: samples, beams: beams, default: options.decoding)
        options = options.withGreedyAtZero
        try options.validate()
        let source = try lines.source(beside: text)
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model, memory: engine.memory, terminal)
        if let source {
            return try runRequests(
                source, FillInput.Defaults(options: options, longest: longest), file, began, terminal)
        }
        guard let text else {
            throw LeafError(
                .usage, "TEXT is missing; give a text with <blank>, - for standard input, --prompts or --requests")
        }
        try runOne(text == "-" ? try StandardInput.text() : text, options, file, began, terminal)
    }

    private func runOne(
        _ text: String, _ options: GenerationOptions, _ file: ModelFile, _ began: ContinuousClock.Instant,
        _ terminal: Terminal
    ) throws(LeafError) {
        let text = try BlankText(text)
        let request = try file.request(toFill: text, options, longest: longest)
        try FillJob(file: file, request: request, engine: engine, began: began).run(
            terminal, isJSON: common.isJSON, result: { text.filled(with: $0.blanks.map(\.text)) },
            json: { filling, answer in
                FillAnswer(text, request, filling, answer.model, loadSeconds: answer.loadSeconds).json()
            })
    }

    /// One line, known to make sense.
    private struct Asked {
        let id: JSON
        let text: BlankText
        /// Nil where it is not wanted beside the answer.
        let source: String?
        let request: FillRequest
    }

    private func runRequests(
        _ source: RequestSource, _ defaults: FillInput.Defaults, _ file: ModelFile, _ began: ContinuousClock.Instant,
        _ terminal: Terminal
    ) throws(LeafError) {
        let echoes = lines.answers.echoesPrompt
        let stream = try RequestStream<Asked>(source, lines, terminal) { line throws(LeafError) in
            guard !line.isBlank else { return nil }
            let input =
                try source.isPlain
                ? FillInput(line.plainText(), defaults) : FillInput(json: line.bytes, defaults)
            return Asked(
                id: input.id?.json ?? .integer(line.number), text: input.text, source: echoes ? input.source : nil,
                request: try input.request(for: file))
        }
        // Of those texts that need most sequences, as many as may run together.
        var widest: [Int] = []
        let survey = try stream.survey(
            sequences: batch, unknown: { Self.demand(of: defaults, context: $0) },
            demands: { asked in
                widest = Array((widest + [asked.request.sequences]).sorted(by: >).prefix(batch))
                return asked.request.demands(in: file.configuration)
            },
            // Blanks are short beside the text.
            unknownAnswer: { .generation(tokens: $0, samples: 1, logprobs: nil) },
            answer: {
                .generation(
                    tokens: $0.request.demands(in: file.configuration).map(\.longest).max() ?? 0,
                    samples: 1, logprobs: nil)
            })
        if survey.count != nil, survey.demands.longest > PromptRows.trainedLength {
            terminal.warn(FillJob.lengthWarning(survey.demands.longest))
        }
        let run = try SharedRun(
            survey, sequences: stream.isRepeatable ? widest.reduce(0, +) : batch * defaults.longest, of: "sequence",
            engine, file, since: began, terminal)
        let tally = RequestTally()
        let writer = AnswerWriter(
            lines.answers, columns: ["id"] + (echoes ? ["prompt"] : []) + ["text", "seed", "error"], terminal)
        try run.answer(
            stream, tally, to: writer, phase: "filling",
            requests: { [$0.request] },
            take: { (asked, _, event: FillRequest.Event) in
                switch event.answer {
                case nil: return nil
                case .failure(let error): return .failed(error, id: asked.id)
                case .success(let filling):
                    tally.tokens += filling.tokenCount
                    let answer = FillAnswer(asked.text, asked.request, filling, run.model, loadSeconds: nil)
                    return .answered(answer.json(id: asked.id, echoing: asked.source))
                }
            })
        try run.finish(tally, writer)
    }

    /// What one of the texts that are tried for a line of a pipe may need.
    private static func demand(of defaults: FillInput.Defaults, context: Int) -> Demand {
        let width = if case .beams(let beams) = defaults.options.decoding { beams } else { 1 }
        return Demand(
            pages: width * Demand.pages(holding: context), sequences: width, longest: context, firstRows: context,
            stepRows: width + mostBlanks, logitRows: width + mostBlanks,
            heapBytes: context * Demand.rowHeapBytes
                + 2 * width * context * (defaults.options.tokenHeapBytes + Demand.idHeapBytes),
            takesDrafts: false)
    }

    /// Blanks that a line of a pipe has room for: a row of its own predicts each.
    private static let mostBlanks = 64
}
