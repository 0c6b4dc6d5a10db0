import CPMAntShape
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// One line, known to make sense, and what has been computed of it.
struct BatchItem: Sendable {
    /// What becomes of its answers.
    private enum Form: Sendable {
        case generate(GenerationRequest)
        case fill(BlankText, FillRequest)
        case score(ScoreQuestion)
        case embed(EmbeddingRequest, isNormalized: Bool)
        case completion(CompletionInput)
        case chat(ChatInput)
        case embeddings(EmbeddingsInput)
    }

    let name: LineName
    let requests: [AnyRequest]
    private let form: Form
    private var answers: [AnyRequest.Answer?]

    /// - Parameters:
    ///   - seed: for a request that gives none.
    /// - Throws: `.usage` for what makes no sense with this model.
    init(
        _ bytes: ArraySlice<UInt8>, _ name: LineName, for file: ModelFile, _ defaults: WireRequest.Defaults,
        seed: UInt64
    ) throws(LeafError) {
        self.name = name
        (form, requests) =
            try name.isOpenAI
            ? Self.openAI(bytes, name, for: file, defaults, seed: seed)
            : Self.own(bytes, name, for: file, defaults, seed: seed)
        answers = Array(repeating: nil, count: requests.count)
    }

    /// Our own form: `{"id","kind",...}`.
    private static func own(
        _ bytes: ArraySlice<UInt8>, _ name: LineName, for file: ModelFile, _ defaults: WireRequest.Defaults,
        seed: UInt64
    ) throws(LeafError) -> (Form, [AnyRequest]) {
        switch try WireRequest(json: bytes, defaults, kinds: [.generate, .fill, .score, .embed]) {
        case .generate(let input):
            let request = try input.request(for: file).seeded(seed)
            return (.generate(request), [.generate(request)])
        case .fill(let input):
            var request = try input.request(for: file)
            request.options.seed = request.options.seed ?? seed
            return (.fill(input.text, request), [.fill(request)])
        case .score(let input):
            let question = try input.question(for: file, id: name.answerID.json)
            return (.score(question), question.texts.map { .score($0) })
        case .embed(let input):
            let request = try input.request(for: file)
            return (.embed(request, isNormalized: input.isNormalized), [.embed(request)])
        case .perplexity, .logits, .tokenize, .detokenize:
            throw LeafError.field("kind", "is none of generate, fill, score and embed, which a job answers")
        }
    }

    /// OpenAI's form: `{"custom_id","method":"POST","url","body"}`.
    private static func openAI(
        _ bytes: ArraySlice<UInt8>, _ name: LineName, for file: ModelFile, _ defaults: WireRequest.Defaults,
        seed: UInt64
    ) throws(LeafError) -> (Form, [AnyRequest]) {
        guard bytes.count <= WireRequest.byteLimit else {
            throw LeafError(.usage, "it is longer than \(WireRequest.byteLimit.sizeText)")
        }
        guard case .text? = name.id else { throw LeafError.field("custom_id", "is missing, a text") }
        guard name.method == "POST" else { throw LeafError.field("method", "is not POST") }
        var form: Form?
        var reader = JSONReader(bytes)
        try reader.fields { field, reader throws(LeafError) in
            guard field == "body" else { return try reader.skip() }
            switch name.url {
            case "/v1/completions": form = .completion(try CompletionInput(&reader, defaults.generate))
            case "/v1/chat/completions": form = .chat(try ChatInput(&reader, defaults.generate))
            case "/v1/embeddings": form = .embeddings(try EmbeddingsInput(&reader, defaults.embed))
            default:
                throw LeafError.field("url", "is not /v1/completions, /v1/chat/completions or /v1/embeddings")
            }
        }
        try reader.end()
        guard let form else { throw LeafError.field("body", "is missing") }
        var requests: [AnyRequest] = []
        switch form {
        case .completion(let input):
            for request in try input.requests(for: file) { requests.append(.generate(request.seeded(seed))) }
        case .chat(let input): requests.append(.generate(try input.request(for: file).seeded(seed)))
        case .embeddings(let input):
            for request in try input.requests(for: file) { requests.append(.embed(request)) }
        case .generate, .fill, .score, .embed: break
        }
        return (form, requests)
    }

    /// Of what its answer consists.
    var answerShape: ValueShape {
        switch form {
        case .generate: GenerationAnswer.shape
        case .fill: FillAnswer.shape
        case .score(let question): question.answerShape
        case .embed(let request, _): EmbeddingAnswer.shape(request.pooling)
        case .completion: LineName.answerShape(body: CompletionAnswer.completionShape)
        case .chat: LineName.answerShape(body: CompletionAnswer.chatShape)
        case .embeddings(let input): LineName.answerShape(body: input.answerShape)
        }
    }

    /// What its answer takes, the requests until then included.
    func answerRoom(in configuration: ModelConfiguration) -> AnswerRoom {
        var room = AnswerRoom(held: MemoryLayout<Self>.stride, written: 1 << 12)
        for request in requests {
            let positions = request.demands(in: configuration).map(\.longest).max() ?? 0
            // Its ids and what it is; each text of a list has its own.
            room.held +|= 8 *| positions +| 2 *| MemoryLayout<AnyRequest>.stride
            switch request {
            case .generate(let generation):
                let options = generation.options
                room =
                    room
                    + .generation(
                        tokens: options.maxTokens, samples: generation.samples, logprobs: options.logprobs)
            case .fill: room = room + .generation(tokens: positions, samples: 1, logprobs: nil)
            case .echo: break
            case .score(let score):
                let ids = score.context.ids.count +| score.target.count
                room = room + .scores(tokens: score.target.count, ids: ids)
            case .embed(let embedding):
                let vectors = embedding.pooling == .none ? embedding.text.ids.count : 1
                room = room + .embedding(numbers: configuration.dimModel *| vectors)
            }
        }
        return room
    }

    /// Takes the answer to one of its requests.
    ///
    /// - Returns: the whole answer once it has come.
    mutating func take(_ answer: AnyRequest.Answer, of index: Int, _ model: Model) -> JSON? {
        answers[index] = answer
        let known = answers.compactMap { $0 }
        return known.count == answers.count ? json(known, model) : nil
    }

    private func json(_ answers: [AnyRequest.Answer], _ model: Model) -> JSON {
        let id = name.answerID.json
        switch form {
        case .generate(let request):
            guard case .generation(let generation) = answers[0] else { return .null }
            return .object(GenerationAnswer(request, generation, model, loadSeconds: 0).result(id: id))
        case .fill(let text, let request):
            guard case .filling(let filling) = answers[0] else { return .null }
            return .object(FillAnswer.result(text, request, filling, id: id))
        case .score(let question): return question.answer(answers.map(\.scores))
        case .embed(let request, let isNormalized):
            return EmbeddingAnswer(request, answers[0].vector, isNormalized: isNormalized).json(id: id)
        case .completion(let input):
            return name.answer(body: completion(answers, input.model, input.options, model).completion)
        case .chat(let input): return name.answer(body: completion(answers, input.model, input.options, model).chat)
        case .embeddings(let input):
            let tokens = requests.reduce(0) { sum, request in
                if case .embed(let embedding) = request { sum + embedding.text.ids.count } else { sum }
            }
            return name.answer(body: input.answer(answers.map(\.vector), tokens: tokens))
        }
    }

    private func completion(
        _ answers: [AnyRequest.Answer], _ modelName: String?, _ options: GenerationOptions, _ model: Model
    ) -> CompletionAnswer {
        // No time stands in an answer: it would not be the bytes of another run.
        CompletionAnswer(
            OpenAIEnvelope(id: name.answerNumber, created: 0, model: modelName), answers.compactMap(\.generation),
            hasLogprobs: options.logprobs != nil, model.file)
    }
}

extension AnyRequest.Answer {
    fileprivate var generation: Generation? { if case .generation(let generation) = self { generation } else { nil } }
    fileprivate var scores: [TokenScore] { if case .scores(let scores) = self { scores } else { [] } }
    fileprivate var vector: [Float] { if case .vector(let vector) = self { vector } else { [] } }
}

extension GenerationRequest {
    /// With a seed, where it gives none.
    fileprivate func seeded(_ seed: UInt64) -> GenerationRequest {
        var request = self
        request.options.seed = options.seed ?? seed
        return request
    }
}
