import LeafFormat
import LeafGeneration
import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter
import Synchronization

/// The windows of a text, one after the other.
struct WindowQueue: Sendable {
    private var windows: TextWindows
    private var last: ArraySlice<TextWindows.Window>?

    /// - Throws: `.usage` for what makes no sense with this model.
    init(_ input: PerplexityInput, _ file: ModelFile) throws(LeafError) {
        let settings = input.settings
        windows = try TextWindows(context: settings.context, prefix: settings.prefix, stride: settings.stride)
        windows.add(try input.ids(for: file))
    }

    mutating func next() throws(LeafError) -> TextWindows.Window? {
        if let window = windows.nextFull() { return window }
        if last == nil { last = try windows.finish()[...] }
        return last?.popFirst()
    }
}

/// A text that is scored window by window: some at the same time, so that memory does not grow with the text.
final class PerplexityRun: Sendable {
    private struct State {
        var windows: WindowQueue
        var begun = 0
        var open = 0
        var failure: LeafError?
        var report = PerplexityReport()
        // Sums do not depend on the order in which windows finish.
        var inOrder = InOrder<(window: TextWindows.Window, scores: [TokenScore])>()
    }

    private let model: Model
    private let request: HostRequest
    private let form: GenerationOptions
    private let id: JSON?
    private let state: Mutex<State>

    init(_ host: HostModel, _ request: HostRequest, _ windows: WindowQueue, form: GenerationOptions, id: JSON?) {
        (model, self.request, self.form, self.id) = (host.model, request, form, id)
        state = Mutex(State(windows: windows))
    }

    /// - Throws: `.usage` for what makes no sense with this model.
    func begin(ahead: Int) throws(LeafError) {
        var first: [(window: TextWindows.Window, request: ScoreRequest)] = []
        let result: Result<[TextWindows.Window], LeafError> = state.withLock { state in
            Result { () throws(LeafError) in
                var found: [TextWindows.Window] = []
                while found.count < ahead, let window = try state.windows.next() { found.append(window) }
                (state.begun, state.open) = (found.count, found.count)
                return found
            }
        }
        for window in try result.get() { first.append((window, try window.request(for: model.file, form))) }
        try model.submit(first.map(\.request), request.cancellation) { [self, windows = first.map(\.window)] in
            take($1, of: windows[$0], number: $0)
        }
    }

    private func take(_ event: ScoreRequest.Event, of window: TextWindows.Window, number: Int) {
        switch event {
        case .piece: return
        case .progress(let progress): request.tell(.progress(progress))
        case .finished(let answer):
            let next: (window: TextWindows.Window, number: Int)? = state.withLock { state in
                state.open -= 1
                switch answer {
                case .failure(let error): state.failure = state.failure ?? error
                case .success(let scores):
                    state.inOrder.add((window, scores), at: number) { [tokenizer = model.tokenizer] in
                        state.report.add($1.window, $1.scores, tokenizer)
                    }
                }
                guard state.failure == nil else { return nil }
                do throws(LeafError) {
                    guard let window = try state.windows.next() else { return nil }
                    defer { state.begun += 1 }
                    state.open += 1
                    return (window, state.begun)
                } catch {
                    state.failure = error
                    return nil
                }
            }
            if let next { go(next.window, next.number) } else { finishIfDone() }
        }
    }

    private func go(_ window: TextWindows.Window, _ number: Int) {
        do throws(LeafError) {
            try model.submit([window.request(for: model.file, form)], request.cancellation) { [self] in
                take($1, of: window, number: number)
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
