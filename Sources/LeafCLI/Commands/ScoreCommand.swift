import LeafArguments
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
        ] + ScoringOptions.all().map { $0.lifted(\.scoring) } + CommonOptions.quietness.map { $0.lifted(\.common) },
        examples: [
            "score ant.leaf --requests sentences.jsonl", "score ant.leaf --requests c3.jsonl --rule choice --task 1",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let requests else { throw LeafError(.usage, "--requests FILE.jsonl is missing") }
        let file = try scoring.open(model, terminal)
        let questions = try ScoreFile(path: requests, rule: rule, form: scoring.form, for: file).questions
        let texts = questions.enumerated().flatMap { number, question in
            question.texts.enumerated().map { (question: number, place: $0, request: $1) }
        }
        var sheets = questions.map { ScoreSheet($0) }
        var finished = 0
        try scoring.answer(
            texts.map(\.request), file, terminal,
            counted: (texts.reduce(0) { $0 + $1.request.target.count }, questions.count),
            onAnswer: { place, scores in
                let text = texts[place]
                sheets[text.question].scores[text.place] = scores
                guard let answer = sheets[text.question].answer else { return }
                finished += 1
                sheets[text.question].scores = []
                terminal.print(answer)
                terminal.progress.show("scoring: \(finished) of \(Quantity.count(questions.count, "request")) finished")
            })
    }
}

/// The scores of one question's texts as they come.
private struct ScoreSheet {
    private let question: ScoreQuestion
    /// By text; emptied once the answer has been given.
    var scores: [[TokenScore]?]

    init(_ question: ScoreQuestion) {
        self.question = question
        scores = Array(repeating: nil, count: question.texts.count)
    }

    /// Nil while scores are missing.
    var answer: JSONText? {
        let known = scores.compactMap { $0 }
        return known.count == question.texts.count ? question.answer(known) : nil
    }
}
