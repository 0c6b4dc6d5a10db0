import LeafArguments
import Leafcutter

/// `leafcutter score MODEL --requests FILE.jsonl`
struct ScoreCommand: Command {
    var model = ""
    var requests: String?
    var rule = ScoreRule.choice
    var task = 2
    var segment = 2
    var batch = 8
    var engine = EngineOptions()
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
            .value("task", "N", "Soft prompt (default 2; CPM-Live's LoRA examples use 1).", \.task),
            .value("segment", "N", "Segment of the text (default 2).", \.segment),
            .value("batch", "B", "Texts on a sweep at most (default 8); fewer if memory is short.", \.batch),
        ] + EngineOptions.all.map { $0.lifted(\.engine) } + CommonOptions.quietness.map { $0.lifted(\.common) },
        examples: [
            "score ant.leaf --requests sentences.jsonl", "score ant.leaf --requests c3.jsonl --rule choice --task 1",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let requests else { throw LeafError(.usage, "--requests FILE.jsonl is missing") }
        guard (1...GenerationOptions.mostSequences).contains(batch) else {
            throw LeafError(.usage, "--batch \(batch) is not between 1 and \(GenerationOptions.mostSequences)")
        }
        terminal.progress.show("opening \(model)")
        let file = try ModelFile(path: model)
        let questions = try ScoreFile(
            path: requests, rule: rule, form: TextForm(task: task, segment: segment), for: file
        ).questions
        let texts = questions.enumerated().flatMap { place, question in question.texts.map { (place, $0) } }
        var options = engine.modelOptions(ModelOptions.Capacity(context: 1))
        options.capacity = try ModelOptions.Capacity.fitting(
            texts.map { $0.1.demand(in: file.configuration) }, sequences: batch, file, options)
        let model = try Model(file, options)
        terminal.detail(model.plan.description)

        let interrupt = Interrupt()
        let began = ContinuousClock.now
        var collected = questions.map { Array(repeating: [TokenScore](), count: $0.texts.count) }
        var missing = questions.map(\.texts.count)
        let firstText = texts.indices.reduce(into: [Int: Int]()) { first, text in
            if first[texts[text].0] == nil { first[texts[text].0] = text }
        }
        var failure: LeafError?
        try model.score(texts.map(\.1), isCancelled: { interrupt.isRequested || terminal.output.isClosed }) { text, scores in
            let place = texts[text].0
            switch scores {
            case .failure(let error): failure = failure ?? error
            case .success(let scores): collected[place][text - (firstText[place] ?? 0)] = scores
            }
            missing[place] -= 1
            guard missing[place] == 0, failure == nil else { return }
            terminal.progress.clear()
            terminal.output.write(questions[place].answer(collected[place]).line + "\n")
            terminal.output.flush()
            collected[place] = []
            terminal.progress.show(
                "scoring: \(missing.count { $0 == 0 }) of \(Quantity.count(questions.count, "request")) finished")
        }
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        let tokens = texts.reduce(0) { $0 + $1.1.target.count }
        terminal.note("\(RunFacts(model, tokens: tokens, requests: questions.count, seconds: seconds))")
        if let failure {
            throw failure.kind == .cancelled ? LeafError(.cancelled, "interrupted") : failure
        }
    }
}
