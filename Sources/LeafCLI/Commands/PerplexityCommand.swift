import LeafArguments
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter perplexity MODEL FILE`
struct PerplexityCommand: Command {
    var model = ""
    var path = ""
    var context = 512
    var stride: Int?
    var prefix = 1
    var scoring = ScoringOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<PerplexityCommand>(
        name: "perplexity", summary: "Measure how well a model predicts a text.",
        discussion: """
            The text is cut into windows of --context tokens, <s> in front of each. The first --prefix of them, <s> \
            among them, are read as a prompt is; each further token sees these and the ones before it, so that \
            nothing it is scored for is in sight. With --stride below the window's length, windows overlap and only \
            the tokens that no window before has scored are counted. Tokens that the vocabulary lacks are dropped, \
            as generate does.

            With --lines each line of the file is a text of its own, as long as a window at most: one JSON object a \
            line, {"id","perplexity",..}, where the id is the number of its line, and behind them {"summary"} with \
            the facts of the process.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .required("FILE", "A text in UTF-8; - is standard input.", \.path, suggest: .file),
        ],
        options: [
            .number("context", "N", .init(contexts), "Tokens of a window, <s> included (default 512).", \.context),
            .number(
                "stride", "N", .init(parts), "Tokens from one window to the next (default: no overlap).", \.stride),
            .number(
                "prefix", "N", .init(parts), "Tokens that are read as a prompt, <s> included (default 1).", \.prefix),
            .flag("lines", "Each line is a text of its own.", \.scoring.lines.takesLines),
        ] + LineOptions.all.filter { $0.name != "context" }.map { $0.lifted(\.scoring.lines) }
            + ScoringOptions.all().map { $0.lifted(\.scoring) } + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "perplexity ant.leaf news.txt --context 512 --stride 256",
            "perplexity ant.leaf sentences.txt --lines --ordered --format csv",
        ])

    private static let contexts = 2...1 << 20
    /// Of the tokens of a window, which holds one more at least.
    private static let parts = 1...contexts.upperBound - 1

    func run(_ terminal: Terminal) throws(LeafError) {
        if scoring.lines.takesLines { return try measureLines(terminal) }
        if let name = scoring.lines.answers.given ?? (scoring.lines.skipsBad ? "--skip-bad" : nil) {
            throw LeafError(.usage, "\(name) belongs to --lines, which is missing")
        }
        let file = try scoring.open(model, terminal)
        let tokenizer = try file.requireTokenizer()
        let text = try TextTokens(path: path, tokenizer)
        var survey = DemandSurvey(sequences: scoring.batch.count)
        var count: Int?
        if text.isRepeatable {
            var windows = WindowSource(text, try windows())
            while let window = try windows.next(terminal) {
                survey.add(try window.request(for: file, scoring.form).demand(in: file.configuration))
                terminal.progress.show(Progress("reading", survey.count, "window"))
            }
            count = survey.count
            text.rewind()
        } else {
            _ = try windows()
            let longest = try longestWindow(file)
            for _ in 0..<scoring.batch.count { survey.add(longest.demand(in: file.configuration)) }
        }
        let run = try SharedRun(
            survey.demands, count: count,
            bytes: text.bytes(longest: text.isRepeatable ? text.longestPiece : text.limit)
                +| 2 *| scoring.batch.count *| AnswerRoom.windowBytes(context: context),
            sequences: scoring.batch.count, scoring.engine, file, terminal)
        try measure(WindowSource(text, try windows()), tokenizer, count, run, terminal)
    }

    /// A window of as many tokens as there may be.
    func longestWindow(_ file: ModelFile) throws(LeafError) -> ScoreRequest {
        ScoreRequest(
            context: try file.rows(of: .ids(Array(repeating: Tokenizer.bosID, count: prefix)), scoring.form),
            target: Array(repeating: Tokenizer.bosID, count: context - prefix))
    }

    func windows() throws(LeafError) -> TextWindows {
        do throws(LeafError) {
            return try TextWindows(context: context, prefix: prefix, stride: stride)
        } catch {
            let words = [("a context of", "--context"), ("a prefix of", "--prefix"), ("a stride of", "--stride")]
            for (fact, option) in words where error.description.hasPrefix(fact) {
                throw LeafError(error.kind, option + error.description.dropFirst(fact.count))
            }
            throw error
        }
    }

    private func measure(
        _ source: WindowSource, _ tokenizer: Tokenizer, _ count: Int?, _ run: SharedRun, _ terminal: Terminal
    ) throws(LeafError) {
        var source = source
        var report = PerplexityReport(context: context)
        // Sums do not depend on the order in which windows finish.
        var inOrder = InOrder<(window: TextWindows.Window, scores: [TokenScore])>()
        var begun = 0
        var failure: LeafError?
        var progress = Progress("scoring", 0, of: count, "window")
        progress.sweep = .step
        terminal.progress.show(progress)
        let own = Cancellation(parent: run.cancellation)
        try run.model.carryOut(
            ahead: 2 * scoring.batch.count, own,
            next: { milliseconds throws(LeafError) -> Arrival<Asked<NumberedWindow, ScoreRequest>> in
                switch try source.next(waiting: milliseconds) {
                case .later: return .later
                case .end: return .end
                case .value(let window):
                    defer { begun += 1 }
                    return .value(((begun, window), [try window.request(for: run.model.file, scoring.form)]))
                }
            },
            onEvent: { (entry: inout NumberedWindow, _, event: ScoreRequest.Event) in
                if case .progress(let sweep) = event { progress.rows = sweep.rows }
                switch event.answer {
                case nil: break
                case .failure(let error):
                    failure = failure ?? error
                    own.cancel()
                case .success(let scores):
                    inOrder.add((entry.window, scores), at: entry.number) {
                        report.add($1.window, $1.scores, tokenizer)
                    }
                }
                progress.done?.count = report.windows
                terminal.progress.show(progress)
            })
        terminal.progress.clear()
        report.unknown = source.unknown
        terminal.note(report.unknown, of: "the text")
        if failure == nil, !run.isCancelled {
            terminal.output.write(common.isJSON ? report.json(run.model).line + "\n" : report.text)
            terminal.output.flush()
        }
        run.tell(tokens: report.tokens, requests: report.windows)
        if run.isInterrupted {
            throw LeafError(.cancelled, "interrupted after \(Quantity.count(report.windows, "window"))")
        }
        if let failure { throw failure }
    }
}

private typealias NumberedWindow = (number: Int, window: TextWindows.Window)

extension PerplexityReport {
    var text: String {
        Quantity.table([
            ("perplexity", "\(perToken.fixed(4)) a token, \(perCharacter.fixed(4)) a character"),
            ("counted", "\(Quantity.count(tokens, "token")), \(Quantity.count(characters, "character"))"),
            ("windows", "\(Quantity.count(windows, "window")) of at most \(Quantity.count(context, "token"))"),
        ])
    }

    func json(_ model: Model) -> JSON { .object(fields + [("memory", .memory(model)), ("io", .io(model))]) }
}
