import LeafArguments
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter score MODEL [TEXT | -]`
struct ScoreCommand: Command {
    var model = ""
    var text: String?
    var options: [String] = []
    var rule: ScoreRule?
    var normalization: ScoreNormalization?
    var scoring = ScoringOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<ScoreCommand>(
        name: "score", summary: "Say how likely texts are, choose among options, rank.",
        discussion: """
            One TEXT gives one JSON object: its log-probability, {"logprob","token_logprobs","ranks"}, where rank 1 \
            is the most likely token; with --option the best answer to it, {"choice","scores"}. The choice is the \
            number of the option with the highest score, counted from 0.

            With --requests each line of a file is one request, and each line of the output its answer with its \
            "id", in the order in which they finish; behind them stands {"summary"} with the facts of the process.

            {"id","context","target"} (or "context_ids" with <s>, and "target_ids") asks for the log-probability of \
            the target after the context. {"id","input","options":[..]} asks which option fits.

            --rule likelihood compares the options' log-probabilities after the input: the rule for a model as it \
            was published, and the default. Long options are less likely than short ones; --normalize length \
            compares the mean of a token instead. --rule choice asks the model as CPM-Live does (input, option, \
            [是否正确], the logit of 是). Only an adapter that was trained on such questions has learned to answer it, so \
            it is the default with --delta and for a model with an adapter merged in. --rule rank scores \
            {"id","input"} by that same logit, {"id","score"}: to sort many inputs, with an adapter too.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .optional("TEXT", "One text, or a question; - takes all of standard input as it is.", \.text),
        ],
        options: [
            .values("option", "TEXT", "An answer to TEXT, for a choice; given at least twice.", \.options),
            .value(
                "rule", "NAME",
                "How inputs are scored: likelihood, choice or rank (default: choice with an adapter, "
                    + "else likelihood).", \.rule, suggest: .words(ScoreRule.allCases.map(\.rawValue))),
            .value(
                "normalize", "NAME", "length: divide log-probabilities of options by their tokens.", \.normalization,
                suggest: .words(ScoreNormalization.allCases.map(\.rawValue))),
        ] + (LineOptions.sources + LineOptions.all).map { $0.lifted(\.scoring.lines) }
            + ScoringOptions.all().map { $0.lifted(\.scoring) } + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "score ant.leaf '床前明月光，' --option 疑是地上霜。 --option 黄河入海流。",
            "score ant.leaf --requests questions.jsonl --normalize length --ordered",
            "score ant.leaf --prompts sentences.txt --format tsv",
            "score ant.leaf --requests c3.jsonl --delta c3.pt --task 1",
        ])

    /// One line, known to make sense, and the scores of its texts as they come.
    private struct Asked {
        let id: JSON
        /// Nil where it is not wanted beside the answer.
        let input: ScoreInput?
        let question: ScoreQuestion
        var scores: [[TokenScore]?]
    }

    private var defaults: ScoreInput.Defaults {
        ScoreInput.Defaults(form: scoring.form, rule: rule, normalization: normalization)
    }

    func run(_ terminal: Terminal) throws(LeafError) {
        if let source = try scoring.lines.source(beside: text) {
            guard options.isEmpty else {
                throw LeafError(.usage, "--option belongs to a TEXT; lines of --requests have their own \"options\"")
            }
            return try runRequests(source, terminal)
        }
        guard let text else {
            throw LeafError(
                .usage, "TEXT is missing; give a text, - for standard input, --requests FILE.jsonl or --prompts FILE")
        }
        guard options.count != 1 else {
            throw LeafError(.usage, "one --option leaves nothing to choose; give at least two")
        }
        try runOne(text == "-" ? StandardInput.text() : text, terminal)
    }

    private func runOne(_ text: String, _ terminal: Terminal) throws(LeafError) {
        let file = try scoring.open(model, terminal)
        let question = try ScoreInput(text, options: options, defaults).question(for: file)
        terminal.note(
            question.unknown, of: options.isEmpty ? "the text" : "the texts", verb: "scored as <unk>")
        let demands = question.texts.map { $0.demand(in: file.configuration) }
        let tokens = question.texts.reduce(0) { $0 +| $1.target.count }
        let ids = question.texts.reduce(tokens) { $0 +| $1.context.ids.count }
        let run = try SharedRun(
            demands, count: 1, bytes: AnswerRoom.scores(tokens: tokens, ids: ids).bytes, sequences: scoring.batch.count,
            scoring.engine, file, terminal)
        var scores: [[TokenScore]?] = question.texts.map { _ in nil }
        var failure: LeafError?
        try run.model.answer(question.texts, cancellation: run.cancellation) { index, answer in
            switch answer {
            case .failure(let error): failure = failure ?? error
            case .success(let found): scores[index] = found
            }
        }
        terminal.progress.clear()
        if failure == nil { terminal.print(question.answer(scores.compactMap { $0 })) }
        run.tell(tokens: failure == nil ? tokens : 0, requests: failure == nil ? 1 : 0)
        if let failure { throw failure.kind == .cancelled ? LeafError(.cancelled, "interrupted") : failure }
    }

    private func runRequests(_ source: RequestSource, _ terminal: Terminal) throws(LeafError) {
        let file = try scoring.open(model, terminal)
        let configuration = file.configuration
        let defaults = defaults
        let echoes = scoring.lines.answers.echoesPrompt
        let stream = try RequestStream<Asked>(source, scoring.lines, terminal) { line throws(LeafError) in
            guard !line.isBlank else { return nil }
            let input =
                try source.isPlain
                ? ScoreInput(line.plainText(), defaults) : ScoreInput(json: line.bytes, defaults)
            let id = input.id?.json ?? .integer(line.number)
            let question = try input.question(for: file, id: id)
            return Asked(
                id: id, input: echoes ? input : nil, question: question, scores: question.texts.map { _ in nil })
        }
        let survey = try stream.survey(
            sequences: scoring.batch.count,
            unknown: {
                .oneSweep(rows: $0, logitRows: $0, answerBytes: ScoreRequest.answerBytes(tokens: $0))
            },
            demands: { asked in asked.question.texts.map { $0.demand(in: configuration) } },
            // Texts run in the order of their lines: those of two choices at most are there as a whole.
            unknownAnswer: { .scores(tokens: $0, ids: ScoreInput.mostOptions *| $0 / scoring.batch.count) },
            answer: { asked in
                let texts = asked.question.texts
                return .scores(
                    tokens: texts.reduce(0) { $0 +| $1.target.count },
                    ids: texts.reduce(0) { $0 +| $1.context.ids.count +| $1.target.count })
            })
        let run = try SharedRun(survey, sequences: scoring.batch.count, scoring.engine, file, terminal)
        let tally = RequestTally()
        let writer = AnswerWriter(
            scoring.lines.answers,
            columns: ["id"] + (echoes ? ["prompt", "target"] : []) + ["logprob", "choice"]
                + (echoes ? ["option"] : []) + ["scores", "score", "error"],
            terminal)
        try run.answer(
            stream, tally, to: writer, phase: "scoring",
            requests: { $0.question.texts },
            take: { (asked, index, event: ScoreRequest.Event) in
                switch event.answer {
                case nil: return nil
                case .failure(let error): return .failed(error, id: asked.id)
                case .success(let scores): asked.scores[index] = scores
                }
                let scores = asked.scores.compactMap { $0 }
                guard scores.count == asked.scores.count else { return nil }
                for text in asked.question.texts { tally.tokens += text.target.count }
                return .answered(asked.question.answer(scores, echoing: asked.input))
            })
        try run.finish(tally, writer)
    }
}

extension ScoreRule: ArgumentValue {}
extension ScoreNormalization: ArgumentValue {}
