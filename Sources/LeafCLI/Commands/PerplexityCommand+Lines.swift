import LeafFormat
import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter

/// `leafcutter perplexity MODEL FILE --lines`: each line is a text of its own.
extension PerplexityCommand {
    /// One line, known to make sense.
    private struct Asked {
        let id: JSON
        /// Nil where it is not wanted beside the answer.
        let text: String?
        let window: TextWindows.Window
        let request: ScoreRequest
        let report: PerplexityReport
    }

    func measureLines(_ terminal: Terminal) throws(LeafError) {
        guard stride == nil else { throw LeafError(.usage, "--stride has no sense with --lines; leave it out") }
        // Before a large model is opened.
        _ = try windows()
        let file = try scoring.open(model, terminal)
        let tokenizer = try file.requireTokenizer()
        var lines = scoring.lines
        lines.usualContext = context
        let echoes = lines.answers.echoesPrompt
        let stream = try RequestStream<Asked>(RequestSource(path: path, isPlain: true), lines, terminal) {
            line throws(LeafError) in
            guard !line.isBlank else { return nil }
            let text = try line.plainText()
            var unknown = UnknownCharacters()
            let ids = tokenizer.knownIDs(of: text, noting: &unknown)
            guard ids.count < context else {
                throw LeafError(
                    .usage,
                    "it has \(ids.count + 1) tokens with <s>, more than a window; give --context \(ids.count + 1), or "
                        + "cut it")
            }
            var windows = try windows()
            windows.add(ids)
            // As long as a window at most, it is one.
            let window = try windows.finish()[0]
            return Asked(
                id: .integer(line.number), text: echoes ? text : nil, window: window,
                request: try window.request(for: file, scoring.form),
                report: PerplexityReport(context: context, unknown: unknown))
        }
        let longest = try longestWindow(file)
        let survey = try stream.survey(
            sequences: scoring.batch.count,
            unknown: { _ in longest.demand(in: file.configuration) },
            demands: { [$0.request.demand(in: file.configuration)] },
            unknownAnswer: { .scores(tokens: $0, ids: $0) },
            answer: { asked in
                let ids = asked.request.context.ids.count +| asked.request.target.count
                return .scores(tokens: asked.request.target.count, ids: ids)
            })
        let run = try SharedRun(survey, sequences: scoring.batch.count, scoring.engine, file, terminal)
        let tally = RequestTally()
        let writer = AnswerWriter(
            lines.answers,
            columns: ["id"] + (echoes ? ["prompt"] : []) + [
                "perplexity", "perplexity_per_character", "logprob", "tokens", "characters", "error",
            ], terminal)
        try run.answer(
            stream, tally, to: writer, phase: "scoring",
            requests: { [$0.request] },
            take: { (asked, _, event: ScoreRequest.Event) in
                switch event.answer {
                case nil: return nil
                case .failure(let error): return .failed(error, id: asked.id)
                case .success(let scores):
                    tally.tokens += asked.request.target.count
                    var report = asked.report
                    report.add(asked.window, scores, tokenizer)
                    var fields: [(key: String, value: JSON)] = [("id", asked.id)]
                    if let text = asked.text { fields.append(("prompt", .string(text))) }
                    return .answered(.object(fields + report.fields))
                }
            })
        try run.finish(tally, writer)
    }
}
