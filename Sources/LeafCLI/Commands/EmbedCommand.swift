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
    var scoring = ScoringOptions()
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
                "pool", "NAME", "mean (default), last: the last token's state, or none: a vector for each token.",
                \.pooling,
                suggest: .words(Pooling.allCases.map(\.rawValue))),
        ] + ScoringOptions.all().map { $0.lifted(\.scoring) } + LineOptions.all.map { $0.lifted(\.scoring.lines) }
            + CommonOptions.quietness.map { $0.lifted(\.common) },
        examples: ["embed ant.leaf '今天天气真好'", "embed ant.leaf - < sentences.txt > vectors.jsonl"])

    func run(_ terminal: Terminal) throws(LeafError) {
        let file = try scoring.open(model, terminal)
        switch (text, ids) {
        case (nil, nil): throw LeafError(.usage, "TEXT is missing; give a text, - for standard input, or --ids")
        case (.some, .some): throw LeafError(.usage, "give a text or --ids, not both")
        case (nil, .some(let ids)): try embed(.ids(try TokenIDs(ids).ids), file, terminal)
        case (.some("-"), nil): try embedLines(file, terminal)
        case (.some(let text), nil): try embed(.text(text), file, terminal)
        }
    }

    private var defaults: EmbedInput.Defaults { EmbedInput.Defaults(form: scoring.form, pooling: pooling) }

    private func answerRoom(tokens: Int, _ configuration: ModelConfiguration) -> AnswerRoom {
        .embedding(numbers: configuration.dimModel *| (pooling == .none ? tokens : 1))
    }

    private func embed(_ text: Prompt, _ file: ModelFile, _ terminal: Terminal) throws(LeafError) {
        let request = try EmbedInput(text, defaults).request(for: file)
        let demand = request.demand(in: file.configuration)
        let run = try SharedRun(
            [demand], count: 1, bytes: answerRoom(tokens: request.text.ids.count, file.configuration).written,
            sequences: scoring.batch.count, scoring.engine, file, terminal)
        var failure: LeafError?
        try run.model.answer([request], cancellation: run.cancellation) { _, answer in
            switch answer {
            case .failure(let error): failure = error
            case .success(let vector): terminal.print(Self.answer(vector, to: request))
            }
        }
        terminal.progress.clear()
        let isDone = failure == nil
        run.tell(
            tokens: isDone ? request.text.ids.count : 0, requests: isDone ? 1 : 0, rows: isDone ? demand.firstRows : 0)
        if let failure { throw failure.kind == .cancelled ? LeafError(.cancelled, "interrupted") : failure }
    }

    /// Each line of standard input is one text; answers come in the order of the lines.
    private func embedLines(_ file: ModelFile, _ terminal: Terminal) throws(LeafError) {
        let defaults = defaults
        let configuration = file.configuration
        let stream = try RequestStream<EmbeddingRequest>("-", scoring.lines, terminal, mayBeEmpty: true) {
            line throws(LeafError) in
            try EmbedInput(.text(line.text()), defaults).request(for: file)
        }
        guard try stream.holdsSomething() else { return }
        let survey = try stream.survey(
            sequences: scoring.batch.count,
            unknown: {
                .oneSweep(
                    rows: $0, logitRows: 0,
                    answerBytes: EmbeddingRequest.answerBytes(tokens: $0, pooling, in: configuration))
            },
            demands: { [$0.demand(in: configuration)] },
            unknownAnswer: { answerRoom(tokens: $0, configuration) },
            answer: { answerRoom(tokens: $0.text.ids.count, configuration) })
        let run = try SharedRun(survey, sequences: scoring.batch.count, scoring.engine, file, terminal)
        let tally = RequestTally()
        var lines = InOrder<JSON>()
        try run.answer(
            stream, tally, phase: "embedding",
            requests: { [$0] },
            take: { (request, _, event: EmbeddingRequest.Event) in
                switch event.answer {
                case nil: return nil
                case .failure(let error): return .failed(error, id: nil)
                case .success(let vector):
                    tally.tokens += request.text.ids.count
                    tally.rows += request.demand(in: configuration).firstRows
                    return .answered(Self.answer(vector, to: request))
                }
            },
            print: { number, answer in lines.add(answer, at: number) { terminal.print($1) } })
        try run.finish(tally)
    }

    private static func answer(_ vector: [Float], to request: EmbeddingRequest) -> JSON {
        EmbeddingAnswer(vector, pooling: request.pooling, tokens: request.text.ids.count).json()
    }
}

extension Pooling: ArgumentValue {}
