import LeafFormat
import LeafWire
import Leafcutter

/// A model that is opened for many requests, and its statistics.
struct SharedRun {
    let model: Model
    let loadSeconds: Double
    private let engine: EngineOptions
    private let terminal: Terminal
    private let trace: TraceRecorder?
    /// Ends what is under way: an interruption does, or a reader of the output that goes away.
    let cancellation: Cancellation
    private let began: ContinuousClock.Instant
    /// How many requests there are; nil where nobody knows.
    private let count: Int?
    /// Requests that are held at most.
    let ahead: Int

    /// - Parameters:
    ///   - survey: what the requests need.
    ///   - sequences: the most at the same time; fewer if memory is short.
    ///   - unit: the user's word for a sequence.
    ///   - start: the time when opening began.
    /// - Throws: `.budget` with the smallest budget that works for one at a time.
    init<Request>(
        _ survey: RequestStream<Request>.Survey, sequences: Int, of unit: String = "text", _ engine: EngineOptions,
        _ file: ModelFile, since start: ContinuousClock.Instant = .now, _ terminal: Terminal
    ) throws(LeafError) {
        try self.init(
            survey.demands.demands, count: survey.count, bytes: survey.bytes, sequences: sequences, of: unit,
            ahead: survey.ahead, engine, file, reading: [survey.path], since: start, terminal)
    }

    /// - Parameters:
    ///   - demands: the demands of all requests, or of those that need most.
    ///   - count: requests; nil where nobody knows.
    ///   - bytes: that requests take beside the model.
    ///   - bytesEach: that each text at the same time takes as well, with the request that waits behind it.
    ///   - ahead: requests that are held at most; nil for twice the sequences that fit.
    ///   - inputs: paths of what is read besides the model.
    init(
        _ demands: [Demand], count: Int?, bytes: Int, bytesEach: Int = 0, sequences: Int, of unit: String = "text",
        ahead: Int? = nil, _ engine: EngineOptions, _ file: ModelFile, reading inputs: [String] = [],
        since start: ContinuousClock.Instant = .now, _ terminal: Terminal
    ) throws(LeafError) {
        let cancellation = Cancellation(parent: terminal.interrupt.cancellation)
        self.cancellation = cancellation
        terminal.output.whenClosed = { cancellation.cancel() }
        trace = try engine.makeTrace(beside: file, inputs)
        var options = engine.modelOptions(Demand(context: 1), trace: trace)
        options.callerBytes = bytes
        // No more are taken than `ahead`.
        options.requestLimit = 1_000_000
        let held = try options.makeRoom(for: demands, sequences: sequences, bytesEach: bytesEach, in: file)
        // Drafts take what the texts have left.
        options.drafts = try engine.drafts(terminal)
        model = try Model(file, options)
        loadSeconds = (ContinuousClock.now - start) / .seconds(1)
        terminal.tellPlan(of: model)
        let room = options.capacity.sequences
        let wanted = Demand.sequences(of: demands, together: sequences)
        if room < wanted {
            terminal.note(
                "room for \(Quantity.count(room, unit)) of \(wanted) at the same time; more memory"
                    // Who knows all requests makes room for no others.
                    + (count == nil ? ", or a smaller --context," : "") + " lets more share a reading")
        } else {
            terminal.detail("room for \(Quantity.count(room, unit)) at the same time")
        }
        try terminal.attend(model)
        self.engine = engine
        self.terminal = terminal
        self.count = count
        self.ahead = ahead ?? 2 * held
        began = .now
    }

    var isInterrupted: Bool { terminal.interrupt.isRequested }
    var isCancelled: Bool { isInterrupted || terminal.output.isClosed }
    var seconds: Double { (ContinuousClock.now - began) / .seconds(1) }

    /// Prints the last lines to standard error.
    ///
    /// - Parameter drafts: what they came to; nil for what has none.
    func tell(tokens: Int, requests: Int, drafts: DraftTally? = nil) {
        guard !terminal.isQuiet else { return }
        terminal.note("\(RunFacts(model, tokens: tokens, requests: requests, seconds: seconds))")
        if let sentence = drafts?.sentence(model) { terminal.note(sentence) }
    }

    /// Keeps what came of drafts, if `--keep-acceptance` was given.
    func keepAcceptance() { engine.keepAcceptance(of: model, warning: terminal.warn) }

    /// Writes the timeline, if `--trace` was given.
    func finishTrace() throws(LeafError) { try engine.finish(trace, model.file.leaf, terminal) }
}

/// What was done of many requests.
final class RequestTally {
    /// Generated, filled or scored.
    var tokens = 0
    /// Nil for what has no drafts.
    var drafts: DraftTally?
    /// Requests that have an answer, and how many of those answers say why there is none.
    fileprivate(set) var finished = 0
    fileprivate(set) var failed = 0
}

/// What became of what a line asks for.
enum RequestOutcome {
    case answered(JSON)
    case failed(LeafError, id: JSON?)
    /// It was stopped before anything came of it.
    case cancelled
}

/// What a line asks for, until it has its answer.
private struct AskedLine<Line> {
    /// Counts the lines that ask for something, from 0.
    let number: Int
    var asked: Line
    var isAnswered = false
}

extension SharedRun {
    /// Answers requests as they come, each line with a line as soon as the answer is there.
    ///
    /// - Parameters:
    ///   - phase: for the progress: `generating`.
    ///   - requests: what a line asks the model for.
    ///   - take: handed what comes of one of these requests; nil while more of the line is to come.
    /// - Throws: a bad line where such are not answered, once the requests before it have been.
    func answer<Line, Request: ModelRequest>(
        _ stream: RequestStream<Line>, _ tally: RequestTally, to writer: AnswerWriter, phase: String,
        requests: (_ line: Line) -> [Request],
        take: (_ line: inout Line, _ index: Int, _ event: Request.Event) -> RequestOutcome?
    ) throws(LeafError) {
        var (lines, rows) = (0, 0)
        // A model that cannot be read answers no other request either.
        var fatal: LeafError?
        var bad: LeafError?
        let own = Cancellation(parent: cancellation)
        func finish(_ number: Int, _ outcome: RequestOutcome) {
            switch outcome {
            case .cancelled: writer.write(nil, of: number)
            case .failed(let error, _) where error.kind == .cancelled: writer.write(nil, of: number)
            case .failed(let error, _) where error.kind == .io || error.kind == .badInput:
                fatal = fatal ?? error
                own.cancel()
                writer.write(nil, of: number)
            case .failed(let error, let id):
                tally.failed += 1
                tally.finished += 1
                writer.write(error.answer(id: id), of: number)
            case .answered(let answer):
                tally.finished += 1
                writer.write(answer, of: number)
            }
        }
        func show() {
            var progress = Progress(phase, tally.finished, of: count, "request")
            progress.sweep = .step
            progress.rows = rows
            if tally.tokens > 0 { progress.tokens = (tally.tokens, Double(tally.tokens) / max(seconds, 1e-9)) }
            terminal.progress.show(progress)
        }
        show()
        defer { terminal.progress.clear() }
        try model.carryOut(
            ahead: ahead, own,
            next: { milliseconds -> Arrival<Asked<AskedLine<Line>, Request>> in
                while writer.hasRoom(taken: lines, ahead: ahead) {
                    do throws(LeafError) {
                        switch try stream.next(waiting: milliseconds) {
                        case .later:
                            if milliseconds > 0 { terminal.waitForRequests(tally.finished) }
                            return .later
                        case .end: return .end
                        case .request(let asked):
                            defer { lines += 1 }
                            return .value((AskedLine(number: lines, asked: asked), requests(asked)))
                        case .bad(let id, let error):
                            finish(lines, .failed(error, id: id))
                            lines += 1
                        }
                    } catch {
                        // Those before it are answered first. What was interrupted is told in the end.
                        if error.kind != .cancelled { bad = error }
                        return .end
                    }
                }
                return .later
            },
            onEvent: { (line: inout AskedLine<Line>, index: Int, event: Request.Event) in
                if case .progress(let progress) = event { rows = progress.rows }
                show()
                guard !line.isAnswered, let outcome = take(&line.asked, index, event) else { return }
                line.isAnswered = true
                finish(line.number, outcome)
            })
        if let error = bad ?? fatal { throw error }
    }

    /// The facts of the process, which all answers share.
    private func summary(of tally: RequestTally) -> JSON {
        let sweeps = model.counters.sweeps
        let timing: JSON = [
            "load": .number(loadSeconds), "seconds": .number(seconds),
            "tokens_per_second": .number(Double(tally.tokens) / max(seconds, 1e-9)), "sweeps": .integer(sweeps),
        ]
        return .object(
            [
                ("requests", .integer(tally.finished)), ("failed", .integer(tally.failed)),
                ("interrupted", .bool(isInterrupted)), ("tokens", .integer(tally.tokens)), ("timing", timing),
                ("memory", .memory(model)), ("io", .io(model)),
            ] + (tally.drafts.map { [("speculation", $0.json(model))] } ?? []))
    }

    /// Ends the answers, tells what it took, writes the timeline, and says by which error the run ends, if it does.
    ///
    /// - Throws: `.cancelled` after an interruption, `.badInput` if requests failed.
    func finish(_ tally: RequestTally, _ writer: AnswerWriter) throws(LeafError) {
        writer.finish(summary(of: tally))
        tell(tokens: tally.tokens, requests: tally.finished, drafts: tally.drafts)
        try finishTrace()
        if tally.drafts != nil { keepAcceptance() }
        if isInterrupted {
            let done = count.map { "\(tally.finished) of \($0.of("request"))" } ?? tally.finished.of("request")
            throw LeafError(
                .cancelled,
                "interrupted after \(done), \(Quantity.count(tally.tokens, "token"))")
        }
        guard tally.failed > 0 else { return }
        throw LeafError(
            .badInput,
            "\(tally.failed) of \(Quantity.count(tally.finished, "request")) failed; their answers say why")
    }
}
