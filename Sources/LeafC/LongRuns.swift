import LeafFormat
import LeafGeneration
import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter
import Synchronization

/// As many tokens of a window as a model has rows of logits for.
struct WindowPart: Sendable {
    let window: TextWindows.Window
    let tokens: Range<Int>

    var isLast: Bool { tokens.upperBound == window.target.count }

    /// - Throws: `.usage` for what makes no sense with this model.
    func request(for file: ModelFile, _ form: GenerationOptions) throws(LeafError) -> ScoreRequest {
        var request = try window.request(for: file, form)
        request.part = tokens
        return request
    }
}

/// The windows of a text in parts, one after the other.
struct WindowQueue: Sendable {
    /// Of a text of which no window was scored.
    let report: PerplexityReport
    private let logitRows: Int
    private var windows: TextWindows
    private var last: ArraySlice<TextWindows.Window>?
    /// Of the window that was begun.
    private var parts: ArraySlice<WindowPart> = []

    /// - Throws: `.usage` for what makes no sense with this model.
    init(_ input: PerplexityInput, _ file: ModelFile, logitRows: Int) throws(LeafError) {
        self.logitRows = logitRows
        let settings = input.settings
        windows = try TextWindows(context: settings.context, prefix: settings.prefix, stride: settings.stride)
        var unknown = UnknownCharacters()
        windows.add(try input.ids(for: file, noting: &unknown))
        report = PerplexityReport(context: settings.context, unknown: unknown)
    }

    mutating func next() throws(LeafError) -> WindowPart? {
        if parts.isEmpty, let window = try nextWindow() {
            let ranges = window.target.indices.parts(logitRows: logitRows)
            parts = ranges.map { WindowPart(window: window, tokens: $0) }[...]
        }
        return parts.popFirst()
    }

    private mutating func nextWindow() throws(LeafError) -> TextWindows.Window? {
        if let window = windows.nextFull() { return window }
        if last == nil { last = try windows.finish()[...] }
        return last?.popFirst()
    }
}

/// A text that is scored window by window: some parts at the same time, so that memory does not grow with the text.
final class PerplexityRun: Sendable {
    private struct State {
        var windows: WindowQueue
        var begun = 0
        var open = 0
        var failure: LeafError?
        var report: PerplexityReport
        // Sums do not depend on the order in which parts finish.
        var inOrder = InOrder<(part: WindowPart, scores: [TokenScore])>()
        /// Of the window of which not all parts have come.
        var scores: [TokenScore] = []

        mutating func add(_ answer: [TokenScore], of part: WindowPart, number: Int, _ tokenizer: Tokenizer?) {
            inOrder.add((part, answer), at: number) {
                scores += $1.scores
                guard $1.part.isLast else { return }
                report.add($1.part.window, scores, tokenizer)
                scores = []
            }
        }
    }

    private let model: Model
    private let request: HostRequest
    private let form: GenerationOptions
    private let id: JSON?
    private let state: Mutex<State>

    init(_ host: HostModel, _ request: HostRequest, _ windows: WindowQueue, form: GenerationOptions, id: JSON?) {
        (model, self.request, self.form, self.id) = (host.model, request, form, id)
        state = Mutex(State(windows: windows, report: windows.report))
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    func begin(ahead: Int) throws(LeafError) {
        let result: Result<[WindowPart], LeafError> = state.withLock { state in
            Result { () throws(LeafError) in
                var found: [WindowPart] = []
                while found.count < ahead, let part = try state.windows.next() { found.append(part) }
                (state.begun, state.open) = (found.count, found.count)
                return found
            }
        }
        let parts = try result.get()
        var requests: [ScoreRequest] = []
        for part in parts { requests.append(try part.request(for: model.file, form)) }
        try model.submit(requests, request.cancellation) { [self] in take($1, of: parts[$0], number: $0) }
    }

    private func take(_ event: ScoreRequest.Event, of part: WindowPart, number: Int) {
        switch event {
        case .piece: return
        case .progress(let progress): request.tell(.progress(progress))
        case .finished(let answer):
            let next: (part: WindowPart, number: Int)? = state.withLock { state in
                state.open -= 1
                switch answer {
                case .failure(let error): state.failure = state.failure ?? error
                case .success(let scores): state.add(scores, of: part, number: number, model.tokenizer)
                }
                guard state.failure == nil else { return nil }
                do throws(LeafError) {
                    guard let part = try state.windows.next() else { return nil }
                    defer { state.begun += 1 }
                    state.open += 1
                    return (part, state.begun)
                } catch {
                    state.failure = error
                    return nil
                }
            }
            if let next { go(next.part, next.number) } else { finishIfDone() }
        }
    }

    private func go(_ part: WindowPart, _ number: Int) {
        do throws(LeafError) {
            try model.submit([part.request(for: model.file, form)], request.cancellation) { [self] in
                take($1, of: part, number: number)
            }
        } catch {
            state.withLock { state in
                state.open -= 1
                state.failure = state.failure ?? error
            }
            finishIfDone()
        }
    }

    private func finishIfDone() {
        let (isDone, failure, report) = state.withLock { ($0.open == 0, $0.failure, $0.report) }
        if failure != nil { request.cancellation.cancel() }
        guard isDone else { return }
        if let failure { return request.finish(failure) }
        let fields: [(key: String, value: JSON)] = [("memory", .memory(model)), ("io", .io(model))]
        let line = JSON.object((id.map { [("id", $0)] } ?? []) + report.fields + fields).line
        request.tell(.result(HostResult(json: { line })))
        request.finish()
    }
}

/// A text whose logits are wanted: some rows on each sweep, and the next sweep once those have been read.
final class LogitsRun: Sendable {
    private let model: Model
    private let request: HostRequest
    private let text: LogitsCase
    private let rows: Int
    private let atOnce: Int
    private let lastOnly: Bool

    init(_ host: HostModel, _ request: HostRequest, _ text: LogitsCase, rows: Int, atOnce: Int, lastOnly: Bool) {
        (model, self.request, self.text) = (host.model, request, text)
        (self.rows, self.atOnce, self.lastOnly) = (rows, atOnce, lastOnly)
    }

    /// - Throws: `.usage` for a text that makes no sense, `.budget` if the system refuses the memory.
    func go(from first: Int) throws(LeafError) {
        let part = first..<min(rows, first + atOnce)
        let columns = model.file.configuration.vocabSize
        let floats = try FloatRowsResult(rows: part.count, columns: columns)
        var asked = model.file.logitsRequest(of: text, lastOnly: lastOnly) { floats.put($1, at: $0) }
        asked.only = part
        try model.submit([asked], request.cancellation) { [self] _, event in
            switch event {
            case .piece: break
            case .progress(let progress): request.tell(.progress(progress))
            case .finished(.failure(let error)): request.finish(error)
            case .finished(.success): finish(part, floats)
            }
        }
    }

    private func finish(_ part: Range<Int>, _ floats: FloatRowsResult) {
        let fields: [(key: String, value: JSON)] = [
            ("first", .integer(part.lowerBound)), ("rows", .integer(part.count)), ("total", .integer(rows)),
            ("columns", .integer(floats.columns)),
        ]
        let line = JSON.object((text.id.isEmpty ? [] : [("id", .string(text.id))]) + fields).line
        request.tell(.result(HostResult(json: { line }, floats: floats)))
        guard part.upperBound < rows else { return request.finish() }
        request.whenRead { [self] in
            do throws(LeafError) {
                try go(from: part.upperBound)
            } catch {
                request.finish(error)
            }
        }
    }
}
