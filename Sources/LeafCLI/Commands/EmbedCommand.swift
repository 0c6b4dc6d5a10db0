import LeafArguments
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter embed MODEL [TEXT | -]`
struct EmbedCommand: Command {
    var model = ""
    var text: String?
    var ids: String?
    var pooling = Pooling.mean
    var isNormalized = false
    var scoring = ScoringOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<EmbedCommand>(
        name: "embed", summary: "Turn texts into vectors.",
        discussion: """
            The vector of a text is the mean of its last hidden states, after the last norm: one JSON object a text, \
            {"embedding","tokens"}. With - each line of standard input is one text; they share sweeps, and the \
            vectors come in the order of the lines, without ids. --lines beside - changes nothing here.

            With --requests each line of a file is a JSON object, {"id","text"} (or "input_ids" with <s>), with \
            "pool" and "normalize" where they differ; --prompts takes one text a line. Answers are \
            {"id","text","embedding","tokens"} in the order in which they finish; behind them stands {"summary"} \
            with the facts of the process.

            Texts are alike if the cosine of their vectors is large. With --normalize the cosine is the sum of the \
            products of their numbers.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .optional("TEXT", "One text; - takes each line of standard input.", \.text),
        ],
        options: [
            .value("ids", "LIST", "Token ids in place of the text, with <s>: 6,20,30.", \.ids),
            .value(
                "pool", "NAME", "mean (default), last: the last token's state, or none: a vector for each token.",
                \.pooling,
                suggest: .words(Pooling.allCases.map(\.rawValue))),
            .flag("normalize", "Divide each vector by its length.", \.isNormalized),
        ] + (LineOptions.sources + LineOptions.all).map { $0.lifted(\.scoring.lines) }
            + ScoringOptions.all().map { $0.lifted(\.scoring) } + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "embed ant.leaf '今天天气真好'", "embed ant.leaf - < sentences.txt > vectors.jsonl",
            "embed ant.leaf --requests sentences.jsonl --ordered",
            "embed ant.leaf --prompts sentences.txt --normalize --format tsv > vectors.tsv",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        var lines = scoring.lines
        // Without more words, too, - stands for lines here.
        if text == "-" { lines.takesLines = true }
        let source = try lines.source(beside: text, hasIDs: ids != nil)
        let file = try scoring.open(model, terminal)
        if let source { return try embedLines(of: source, lines, file, terminal) }
        switch (text, ids) {
        case (nil, nil):
            throw LeafError(
                .usage, "TEXT is missing; give a text, - for standard input, --ids, --prompts or --requests")
        case (.some, .some): throw LeafError(.usage, "give a text or --ids, not both")
        case (nil, .some(let ids)): try embed(.ids(try TokenIDs(ids).ids), file, terminal)
        case (.some(let text), nil): try embed(.text(text), file, terminal)
        }
    }

    private var defaults: EmbedInput.Defaults {
        EmbedInput.Defaults(form: scoring.form, pooling: pooling, isNormalized: isNormalized)
    }

    private func answerRoom(tokens: Int, _ pooling: Pooling, _ configuration: ModelConfiguration) -> AnswerRoom {
        .embedding(numbers: configuration.dimModel *| (pooling == .none ? tokens : 1))
    }

    private func embed(_ text: Prompt, _ file: ModelFile, _ terminal: Terminal) throws(LeafError) {
        let request = try EmbedInput(text, defaults).request(for: file)
        terminal.note(request.text.unknown, of: "the text")
        let demand = request.demand(in: file.configuration)
        let run = try SharedRun(
            [demand], count: 1, bytes: answerRoom(tokens: request.text.ids.count, pooling, file.configuration).written,
            sequences: scoring.batch.count, scoring.engine, file, terminal)
        var failure: LeafError?
        try run.model.answer(
            [request], cancellation: run.cancellation,
            onAnswer: { _, answer in
                switch answer {
                case .failure(let error): failure = error
                case .success(let vector):
                    terminal.print(EmbeddingAnswer(request, vector, isNormalized: isNormalized).json())
                }
            },
            onProgress: {
                var progress = Progress("embedding")
                progress.sweep = .whole
                progress.rows = $0.rows
                terminal.progress.show(progress)
            })
        terminal.progress.clear()
        let isDone = failure == nil
        run.tell(tokens: isDone ? request.text.ids.count : 0, requests: isDone ? 1 : 0)
        if let failure { throw failure.kind == .cancelled ? LeafError(.cancelled, "interrupted") : failure }
    }

    /// One line, known to make sense.
    private struct Asked {
        /// Nil where answers have none.
        let id: JSON?
        /// Nil where it is not wanted beside the answer.
        let text: Prompt?
        let isNormalized: Bool
        let request: EmbeddingRequest
    }

    /// Answers to lines of standard input are vectors alone, in the order of the lines; others have ids and texts.
    private func embedLines(
        of source: RequestSource, _ lines: LineOptions, _ file: ModelFile, _ terminal: Terminal
    ) throws(LeafError) {
        let defaults = defaults
        let configuration = file.configuration
        var lines = lines
        let isSimple = lines.takesLines
        if isSimple { lines.answers.isOrdered = true } else { lines.answers.echoesPrompt = true }
        let echoes = lines.answers.echoesPrompt
        var isPipe = false
        let stream = try RequestStream<Asked>(source, lines, terminal, mayBeEmpty: isSimple) {
            line throws(LeafError) in
            guard isSimple || !line.isBlank else { return nil }
            let input =
                try source.isPlain
                ? EmbedInput(.text(isSimple ? line.text() : line.plainText()), defaults)
                : EmbedInput(json: line.bytes, defaults)
            guard !isPipe || input.pooling != .none || pooling == .none else {
                throw LeafError(.usage, "'pool' is none, for which a pipe is planned with --pool none alone")
            }
            return Asked(
                id: isSimple ? nil : input.id?.json ?? .integer(line.number), text: echoes ? input.text : nil,
                isNormalized: input.isNormalized, request: try input.request(for: file))
        }
        isPipe = !stream.isRepeatable
        if isSimple, try !stream.holdsSomething() { return }
        let survey = try stream.survey(
            sequences: scoring.batch.count,
            unknown: {
                .oneSweep(
                    rows: $0, logitRows: 0,
                    answerBytes: EmbeddingRequest.answerBytes(tokens: $0, pooling, in: configuration))
            },
            demands: { [$0.request.demand(in: configuration)] },
            unknownAnswer: { answerRoom(tokens: $0, pooling, configuration) },
            answer: { answerRoom(tokens: $0.request.text.ids.count, $0.request.pooling, configuration) })
        let run = try SharedRun(survey, sequences: scoring.batch.count, scoring.engine, file, terminal)
        let tally = RequestTally()
        let writer = AnswerWriter(
            lines.answers,
            columns: (isSimple ? [] : ["id"]) + (echoes ? ["text"] : [])
                + ["embedding", "tokens", "error"],
            hasSummary: !isSimple, terminal)
        try run.answer(
            stream, tally, to: writer, phase: "embedding",
            requests: { [$0.request] },
            take: { (asked, _, event: EmbeddingRequest.Event) in
                switch event.answer {
                case nil: return nil
                case .failure(let error): return .failed(error, id: asked.id)
                case .success(let vector):
                    tally.tokens += asked.request.text.ids.count
                    let answer = EmbeddingAnswer(asked.request, vector, isNormalized: asked.isNormalized)
                    return .answered(answer.json(id: asked.id, echoing: asked.text))
                }
            })
        try run.finish(tally, writer)
    }
}

extension Pooling: ArgumentValue {}
