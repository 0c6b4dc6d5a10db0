import LeafBatch
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter
import Synchronization

extension HostModel {
    /// What a request holds for each byte of its JSON: ids, texts, arrays that have doubled.
    private static let bytesHeld = 8
    /// The same where each byte may become a token with its text in the answer.
    private static let bytesTokenized = 64
    private static let bytesOfAny = 2048

    /// A line of a job, whatever it asks for.
    private static let lineKind = "line"

    /// Starts a request.
    func start(_ kind: String, _ json: [UInt8]) throws(HostError) -> HostRequest {
        if kind == Self.lineKind { return try line(json) }
        let (input, wishes): (WireRequest, RequestWishes)
        do throws(LeafError) {
            guard let known = RequestKind(rawValue: kind) else { throw Self.unknown(kind) }
            input = try WireRequest(known, json: json[...], defaults)
            wishes = try RequestWishes(known, json: json[...])
        } catch {
            throw HostError(error)
        }
        let bytes = Self.bytesOfAny + Self.bytesHeld * json.count
        switch input {
        case .generate(let input): return try generate(input, wishes, bytes)
        case .fill(let input): return try fill(input, wishes, bytes)
        case .score(let input): return try score(input, wishes, bytes)
        case .perplexity(let input): return try perplexity(input, wishes, bytes)
        case .embed(let input): return try embed(input, wishes, bytes)
        case .logits(let text): return try logits(of: text, wishes, bytes)
        case .tokenize(let input):
            return try answer(wishes, Self.bytesOfAny + Self.bytesTokenized * json.count) { file throws(LeafError) in
                let answer = input.answer(try file.requireTokenizer())
                return HostResult(json: { answer.line })
            }
        case .detokenize(let input):
            return try answer(wishes, Self.bytesOfAny + Self.bytesTokenized * json.count) { file throws(LeafError) in
                let tokenizer = try file.requireTokenizer()
                let (answer, text) = (try input.answer(tokenizer), try input.text(tokenizer))
                return HostResult(json: { answer.line }, text: text)
            }
        }
    }

    /// A window of a text is that of the command, as far as the model has room for it beside the soft prompt.
    private var defaults: WireRequest.Defaults {
        var defaults = WireRequest.Defaults()
        let room = model.capacity.longest - file.configuration.promptLength
        defaults.perplexity.context = max(2, min(defaults.perplexity.context, room))
        return defaults
    }

    private static func unknown(_ kind: String) -> LeafError {
        let names = RequestKind.allCases.map(\.rawValue) + [lineKind]
        let nearest = NearestName.of(kind, among: names)
        return LeafError(
            .usage,
            "there is no kind '\(kind.prefix(40))'; "
                + (nearest.map { "did you mean '\($0)'?" } ?? "there are \(names.joined(separator: ", "))"))
    }

    private func made<Request>(_ make: () throws(LeafError) -> Request) throws(HostError) -> Request {
        do throws(LeafError) { return try make() } catch { throw HostError(error) }
    }

    /// What needs no sweep is answered at once.
    private func answer(
        _ wishes: RequestWishes, _ bytes: Int, _ make: (ModelFile) throws(LeafError) -> HostResult
    ) throws(HostError) -> HostRequest {
        try start(wishes, bytes) { request throws(LeafError) in
            request.tell(.result(try make(file)))
            request.finish()
        }
    }

    // MARK: Kinds

    private func generate(
        _ input: GenerateInput, _ wishes: RequestWishes, _ bytes: Int
    ) throws(HostError) -> HostRequest {
        let asked = try made { () throws(LeafError) in try input.request(for: file) }
        let demand = asked.demand(in: file.configuration)
        let id = input.id?.json
        // One that is too long is refused by name when its turn comes, and takes no more than the longest does.
        let held = min(demand.heapBytes, modelOptions.capacity.heapBytes)
        return try start(wishes, bytes +| 2 *| held) { request throws(LeafError) in
            try model.submit([asked], request.cancellation) { [model, loadSeconds] _, event in
                switch event {
                case .piece(let piece): request.tell(.piece(piece))
                case .progress(let progress): request.tell(.progress(progress))
                case .finished(.failure(let error)): request.finish(error)
                case .finished(.success(let generation)) where generation.isInterrupted:
                    request.finish(LeafError(.cancelled, "stopped"))
                case .finished(.success(let generation)):
                    let line = GenerationAnswer(asked, generation, model, loadSeconds: loadSeconds).json(id: id).line
                    let text = model.tokenizer == nil ? nil : generation.samples[0].text
                    request.tell(.result(HostResult(json: { line }, text: text)))
                    request.finish()
                }
            }
        }
    }

    private func fill(_ input: FillInput, _ wishes: RequestWishes, _ bytes: Int) throws(HostError) -> HostRequest {
        let asked = try made { () throws(LeafError) in
            let asked = try input.request(for: file)
            try asked.validate(for: file.configuration)
            return asked
        }
        let held = asked.demands(in: file.configuration).reduce(0) { $0 +| $1.heapBytes }
        let (id, text) = (input.id?.json, input.text)
        return try start(wishes, bytes +| held) { request throws(LeafError) in
            try model.submit([asked], request.cancellation) { [model, loadSeconds] _, event in
                Self.pass(event, to: request) { filling in
                    let line = FillAnswer(text, asked, filling, model, loadSeconds: loadSeconds).json(id: id).line
                    return HostResult(json: { line }, text: text.filled(with: filling.blanks.map(\.text)))
                }
            }
        }
    }

    private func embed(_ input: EmbedInput, _ wishes: RequestWishes, _ bytes: Int) throws(HostError) -> HostRequest {
        let asked = try made { () throws(LeafError) in try input.request(for: file) }
        let (id, isNormalized) = (input.id?.json, input.isNormalized)
        return try start(wishes, bytes +| 2 *| asked.demand(in: file.configuration).heapBytes) {
            request throws(LeafError) in
            try model.submit([asked], request.cancellation) { [columns = file.configuration.dimModel] _, event in
                Self.pass(event, to: request) { vector throws(LeafError) in
                    let floats = try FloatRowsResult(rows: vector.count / columns, columns: columns)
                    let answer = EmbeddingAnswer(asked, vector, isNormalized: isNormalized)
                    answer.floats.withUnsafeBufferPointer { floats.put($0, at: 0) }
                    return HostResult(json: { answer.json(id: id).line }, floats: floats)
                }
            }
        }
    }

    /// Hands on what comes of a request that one answer ends.
    static func pass<Answer>(
        _ event: RequestEvent<Answer>, to request: HostRequest, _ result: (Answer) throws(LeafError) -> HostResult
    ) {
        switch event {
        case .piece(let piece): request.tell(.piece(piece))
        case .progress(let progress): request.tell(.progress(progress))
        case .finished(let answer):
            do throws(LeafError) {
                request.tell(.result(try result(answer.get())))
                request.finish()
            } catch {
                request.finish(error)
            }
        }
    }

    private func score(_ input: ScoreInput, _ wishes: RequestWishes, _ bytes: Int) throws(HostError) -> HostRequest {
        let question = try made { () throws(LeafError) in try input.question(for: file, id: input.id?.json ?? .null) }
        let hasID = input.id != nil
        let parts = question.parts(logitRows: model.capacity.logitRows)
        let held = parts.reduce(0) { $0 +| $1.demand(in: file.configuration).heapBytes }
        return try start(wishes, bytes +| 2 *| held) { request throws(LeafError) in
            try Carrier.answer(
                parts.map { .score($0) }, on: model, request.cancellation,
                progress: { request.tell(.progress($0)) },
                end: { answers in
                    Self.pass(.finished(answers), to: request) { answers in
                        let line = question.answer(parts: answers.map(\.scores)).without(nullID: !hasID).line
                        return HostResult(json: { line })
                    }
                })
        }
    }

    private func line(_ json: [UInt8]) throws(HostError) -> HostRequest {
        let (work, wishes) = try made { () throws(LeafError) in
            let wishes = try RequestWishes(nil, json: json[...])
            return (try LineWork(LineRequest(json: json[...]), for: file, origin: originDigest()), wishes)
        }
        let bytes = Self.bytesOfAny +| Self.bytesHeld *| json.count +| work.heapBytes(in: file)
        return try start(wishes, bytes) { request throws(LeafError) in
            let shared = Shared(Mutex(work))
            try model.submit(work.requests, request.cancellation) { [model] index, event in
                switch event {
                case .piece: break
                case .progress(let progress): request.tell(.progress(progress))
                case .finished(let result):
                    if case .failure = result { request.cancellation.cancel() }
                    let taken = shared.value.withLock { work in
                        Result { () throws(LeafError) in try work.take(result, of: index, model) }
                    }
                    switch taken {
                    case .success(nil): break
                    case .success(let answer?):
                        request.tell(.result(HostResult(json: { answer.json.line }, text: answer.answer)))
                        request.finish()
                    case .failure(let error): request.finish(error)
                    }
                }
            }
        }
    }

    private func perplexity(
        _ input: PerplexityInput, _ wishes: RequestWishes, _ bytes: Int
    ) throws(HostError) -> HostRequest {
        let ahead = 2 * model.capacity.sequences
        let rows = model.capacity.logitRows
        let windows = try made { () throws(LeafError) in try WindowQueue(input, file, logitRows: rows) }
        // The ids and the scores of each window under way.
        let held = ahead *| input.settings.context *| (16 + 2 * MemoryLayout<TokenScore>.stride)
        let id = input.id?.json
        return try start(wishes, bytes +| held) { request throws(LeafError) in
            let run = PerplexityRun(self, request, windows, form: input.settings.form, id: id)
            try run.begin(ahead: ahead)
        }
    }

    private func logits(
        of text: LogitsCase, _ wishes: RequestWishes, _ bytes: Int
    ) throws(HostError) -> HostRequest {
        let configuration = file.configuration
        try made { () throws(LeafError) in
            try file.logitsRequest(of: text) { _, _ in }.validate(for: configuration)
        }
        let rows = wishes.last ? 1 : max(0, text.rowCount(in: configuration) - configuration.promptLength)
        let most = min(HostOptions.rowsOfResult, model.capacity.logitRows)
        let held = HostOptions.resultBytes(rows: min(rows, most), columns: configuration.vocabSize)
        return try start(wishes, bytes +| held) { request throws(LeafError) in
            let run = LogitsRun(self, request, text, rows: rows, atOnce: most, lastOnly: wishes.last)
            try run.go(from: 0)
        }
    }
}

/// Something that several closures share.
private final class Shared<Value: ~Copyable & Sendable>: Sendable {
    let value: Value
    init(_ value: consuming Value) { self.value = value }
}

extension Generation {
    /// Whether it was stopped before it had come to an end.
    fileprivate var isInterrupted: Bool { samples.contains { $0.finishReason == .interrupted } }
}

extension JSON {
    /// Leaves out an id that nobody gave.
    func without(nullID isMissing: Bool) -> JSON {
        guard isMissing, case .object(let fields) = self else { return self }
        return .object(fields.filter { $0.key != "id" })
    }
}
