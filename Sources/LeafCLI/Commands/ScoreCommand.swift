import LeafArguments
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter score MODEL --requests FILE.jsonl`
struct ScoreCommand: Command {
    var model = ""
    var requests: String?
    var rule = ScoreRule.choice
    var scoring = ScoringOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<ScoreCommand>(
        name: "score", summary: "Say how likely texts are, choose among options, rank.",
        discussion: """
            Each line of the file is one request, and each line of the output its answer, in the order in which they \
            finish.

            {"id","context","target"} (or "context_ids" with <s>, and "target_ids") asks for the log-probability of the \
            target after the context: {"id","logprob","token_logprobs","ranks"}; rank 1 is the most likely token.

            {"id","input","options":[..]} asks which option fits: {"id","choice","scores"}. --rule choice asks the model as \
            CPM-Live does (input, option, [是否正确], the logit of 是), --rule likelihood compares the options' \
            log-probabilities after the input.

            --rule rank scores {"id","input"} by that same logit: {"id","score"}.
            """,
        arguments: [.required("MODEL", "A .leaf file.", \.model, suggest: .file)],
        options: [
            .value("requests", "FILE", "The requests, one JSON object a line.", \.requests, suggest: .file),
            .value(
                "rule", "NAME", "How inputs are scored: choice (default), likelihood or rank.", \.rule,
                suggest: .words(ScoreRule.allCases.map(\.rawValue))),
        ] + ScoringOptions.all().map { $0.lifted(\.scoring) } + LineOptions.all.map { $0.lifted(\.scoring.lines) }
            + CommonOptions.quietness.map { $0.lifted(\.common) },
        examples: [
            "score ant.leaf --requests sentences.jsonl", "score ant.leaf --requests c3.jsonl --rule choice --task 1",
        ])

    /// One line, known to make sense, and the scores of its texts as they come.
    private struct Asked {
        let id: JSON
        let question: ScoreQuestion
        var scores: [[TokenScore]?]
    }

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let requests else { throw LeafError(.usage, "--requests FILE.jsonl is missing; - is standard input") }
        let file = try scoring.open(model, terminal)
        let configuration = file.configuration
        let defaults = ScoreInput.Defaults(form: scoring.form, rule: rule)
        let stream = try RequestStream<Asked>(requests, scoring.lines, terminal) { line throws(LeafError) in
            guard !line.isBlank else { return nil }
            let input = try ScoreInput(json: line.bytes, defaults)
            let id = input.id?.json ?? .integer(line.number)
            let question = try input.question(for: file, id: id)
            return Asked(id: id, question: question, scores: question.texts.map { _ in nil })
        }
        let survey = try stream.survey(
            sequences: scoring.batch.count,
            unknown: {
                .oneSweep(rows: $0, logitRows: $0, answerBytes: ScoreRequest.answerBytes(tokens: $0))
            },
            demands: { asked in asked.question.texts.map { $0.demand(in: configuration) } },
            unknownAnswer: { .scores(tokens: $0) },
            answer: { asked in .scores(tokens: asked.question.texts.reduce(0) { $0 +| $1.target.count }) })
        let run = try SharedRun(survey, sequences: scoring.batch.count, scoring.engine, file, terminal)
        let tally = RequestTally()
        try run.answer(
            stream, tally, phase: "scoring",
            requests: { $0.question.texts },
            take: { (asked, index, event: ScoreRequest.Event) in
                switch event.answer {
                case nil: return nil
                case .failure(let error): return .failed(error, id: asked.id)
                case .success(let scores): asked.scores[index] = scores
                }
                let scores = asked.scores.compactMap { $0 }
                guard scores.count == asked.scores.count else { return nil }
                for text in asked.question.texts {
                    tally.tokens += text.target.count
                    tally.rows += text.demand(in: configuration).firstRows
                }
                return .answered(asked.question.answer(scores))
            })
        try run.finish(tally)
    }
}

extension ScoreRule: ArgumentValue {}
