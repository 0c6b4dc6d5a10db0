import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafImport
import LeafSystem
import Leafcutter
import Testing

/// Whatever guesses, and whatever a text was asked for: it is the text that nothing guesses for. The demo model recites
/// poems, so that guesses are right for a while, and options turn it away from them.
@Suite("Speculated texts") struct SpeculatedTextTests {
    /// What guesses for a model of these weights.
    struct Guesses: CustomTestStringConvertible, Sendable {
        enum Source: Sendable { case ngrams, draft, copy }

        let source: Source
        let weights: WeightFormat
        let kv: KVPrecision
        /// Nil for as many as pay.
        var count: Int?
        /// Whether texts guess what others have said.
        var isShared = false

        var testDescription: String {
            "\(source)\(isShared ? " of all" : "") for \(weights.rawValue), \(kv), \(count.map { "\($0)" } ?? "any")"
        }
    }

    static let guesses = [
        Guesses(source: .ngrams, weights: .int8, kv: .f16, count: 5),
        Guesses(source: .ngrams, weights: .int8, kv: .f16, count: 9, isShared: true),
        Guesses(source: .draft, weights: .int8, kv: .f32), Guesses(source: .copy, weights: .int8, kv: .f16, count: 11),
        Guesses(source: .draft, weights: .q4, kv: .f16, count: 3),
        Guesses(source: .copy, weights: .q4, kv: .f32, count: 4),
        Guesses(source: .draft, weights: .q3, kv: .f16, count: 8),
    ]

    private static let poems = [
        (title: "《登鹳雀楼》王之涣\n", text: "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n"),
        (title: "《静夜思》李白\n", text: "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n"),
        (title: "《枫桥夜泊》张继\n", text: "月落乌啼霜满天，江枫渔火对愁眠。\n姑苏城外寒山寺，夜半钟声到客船。\n"),
        (title: "《春晓》孟浩然\n", text: "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。\n"),
    ]

    /// All that a request gives, times left out.
    private struct Answer: Equatable, CustomStringConvertible {
        let ids: [[Int32]]
        let texts: [String]
        let reasons: [FinishReason]
        let scores: [Double?]
        let logprobs: [[TokenLogprobs]]
        /// Of each text, as they came.
        var pieces: [Int: [GeneratedPiece]] = [:]

        init(_ generation: Generation) {
            ids = generation.samples.map(\.ids)
            texts = generation.samples.map(\.text)
            reasons = generation.samples.map(\.finishReason)
            scores = generation.samples.map(\.score)
            logprobs = generation.samples.map(\.logprobs)
        }

        var description: String { "\(zip(texts, reasons).map { "\($0) \($1)" })" }
    }

    /// The demo model, its copies with fewer bits, and the one that drafts for it, each made once.
    private final class Models: Sendable {
        static let shared = Result { try Models() }

        private let folder: TemporaryDirectory
        let draft: String

        private init() throws {
            folder = try TemporaryDirectory()
            draft = folder.path("draft.leaf")
            // What is static is never released.
            atexit { try? FileManager.default.removeItem(at: Models.shared.get().folder.url) }
            try Fixture.convert(Golden.demoModel, weights: .int8, to: path(.int8))
            try Fixture.convert(Golden.repository.appending(path: "Examples/demo-draft"), weights: .int8, to: draft)
            for weights in [WeightFormat.q4, .q3] {
                try SpeculatedTextTests.requantize(path(.int8), to: path(weights), weights)
            }
            try SpeculatedTextTests.requantize(path(.q4), to: copy(of: .q4), .q3)
        }

        func path(_ weights: WeightFormat) -> String { folder.path("\(weights.rawValue).leaf") }

        /// The copy that drafts for a model of these weights.
        func copy(of weights: WeightFormat) -> String {
            weights == .int8 ? path(.q4) : folder.path("copy-of-\(weights.rawValue).leaf")
        }
    }

    private static func requantize(_ path: String, to copy: String, _ weights: WeightFormat) throws {
        var options = RequantizationOptions()
        options.weights = weights
        _ = try Requantizer(model: path, output: copy, options: options).run()
    }

    private let folder: TemporaryDirectory
    private let models: Models
    /// Sessions here outlive no fall of the machine.
    private let calls: WriteCalls

    init() throws {
        folder = try TemporaryDirectory()
        models = try Models.shared.get()
        var calls = WriteCalls()
        calls.synchronize = { _ in 0 }
        self.calls = calls
    }

    /// Opens the model that is guessed for, without guesses and with them.
    private func open(_ guesses: Guesses) throws -> (plain: Model, guessed: Model) {
        var file = try ModelFile(path: models.path(guesses.weights))
        let plain = try Model(file, Self.options(guesses.kv, .none))
        let source: DraftOptions.Source
        switch guesses.source {
        case .ngrams:
            source = .ngrams
            let corpus = folder.path("corpus.txt")
            try Data(Self.poems.map(\.text).joined().utf8).write(to: URL(filePath: corpus))
            try file.addDraftCorpus(path: corpus)
        case .draft: source = .model(try ModelFile(path: models.draft))
        case .copy: source = .model(try ModelFile(path: models.copy(of: guesses.weights)))
        }
        var drafts = DraftOptions(source, fixedCount: guesses.count)
        drafts.sharesNgrams = guesses.isShared
        return (plain, try Model(file, Self.options(guesses.kv, drafts)))
    }

    private static func options(_ kv: KVPrecision, _ drafts: DraftOptions) -> ModelOptions {
        var options = ModelOptions(
            memory: .gibibytes(1), threads: 2, kv: kv,
            capacity: .init(context: 1600, longest: 160, rows: 700, logitRows: 64, sequences: 20),
            keepsSessions: true)
        options.drafts = drafts
        return options
    }

    /// A poem, begun somewhere, with options of every kind that decide a text.
    private func request(
        _ file: ModelFile, _ random: inout some RandomNumberGenerator
    ) throws -> GenerationRequest {
        let (title, text) = Self.poems.randomElement(using: &random) ?? ("", "")
        var options = GenerationOptions(
            decoding: Bool.random(using: &random) ? .greedy : .sampling,
            maxTokens: .random(in: 1...26, using: &random), temperature: .random(in: 0.3...1.3, using: &random),
            topP: [0, 0.5, 0.9].randomElement(using: &random) ?? 0,
            topK: [0, 0, 1, 4].randomElement(using: &random) ?? 0, minP: [0, 0.05].randomElement(using: &random) ?? 0,
            seed: .random(in: 0...99, using: &random),
            compatibility: Compatibility.allCases.randomElement(using: &random) ?? .cpmLive)
        options.repetitionWindow = [nil, 3, 11].randomElement(using: &random) ?? nil
        options.allowEmpty = [nil, true, false].randomElement(using: &random) ?? nil
        options.logprobs = [nil, nil, 0, 3].randomElement(using: &random) ?? nil
        // One or two that turn a text away from its poem; each by itself would hardly show in a mix of all.
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            switch Int.random(in: 0..<5, using: &random) {
            case 0: options.repetitionPenalty = 1.4
            case 1: options.frequencyPenalty = 2
            case 2: options.presencePenalty = 3
            case 3: options.noRepeatNgram = .random(in: 1...3, using: &random)
            default:
                let ids = try file.requireTokenizer().encode(text)
                for _ in 0..<3 { options.logitBias[ids.randomElement(using: &random) ?? 7] = -20 }
            }
        }
        let begin = title + text.prefix(Int.random(in: 0...8, using: &random))
        return GenerationRequest(
            prompt: try file.rows(of: .text(begin), options), options: options,
            samples: .random(in: 1...3, using: &random))
    }

    /// The same request, ended by what stands in its text: by a token, or by a string that begins and ends anywhere.
    private func ended(
        _ request: GenerationRequest, in answer: Answer, _ random: inout some RandomNumberGenerator
    ) -> GenerationRequest {
        var request = request
        let sample = Int.random(in: 0..<answer.ids.count, using: &random)
        let characters = Array(answer.texts[sample])
        // The soft prompts that transformers counts as tokens end no text.
        let ids = answer.ids[sample].filter { $0 < 30_000 }
        if Bool.random(using: &random), let id = ids.randomElement(using: &random) {
            request.options.eosID = id
        } else if let start = characters.indices.randomElement(using: &random) {
            let end = min(characters.count, start + Int.random(in: 1...3, using: &random))
            request.options.stop = ["\u{0}", String(characters[start..<end])]
        }
        return request
    }

    /// Runs requests together.
    private func run(_ requests: [GenerationRequest], on model: Model) throws -> [Answer] {
        var answers: [Int: Answer] = [:]
        var pieces: [Int: [Int: [GeneratedPiece]]] = [:]
        try model.generate(requests) { index, event in
            switch event {
            case .piece(let piece): pieces[index, default: [:]][piece.sample, default: []].append(piece)
            case .progress: break
            case .finished(let outcome): answers[index] = (try? outcome.get()).map(Answer.init)
            }
        }
        return try requests.indices.map { index in
            var answer = try #require(answers[index])
            answer.pieces = pieces[index] ?? [:]
            return answer
        }
    }

    /// Hands a request to a model without waiting for its answer.
    private func begin<Request: ModelRequest>(
        _ request: Request, on model: Model
    ) throws -> AsyncStream<Result<Request.Answer, LeafError>> {
        let (answers, continuation) = AsyncStream<Result<Request.Answer, LeafError>>.makeStream()
        _ = try model.submit(request) { event in
            guard case .finished(let answer) = event else { return }
            continuation.yield(answer)
            continuation.finish()
        }
        return answers
    }

    private func answer<Value: Sendable>(_ answers: AsyncStream<Result<Value, LeafError>>) async throws -> Value {
        try #require(await answers.first { _ in true }).get()
    }

    @Test(arguments: guesses) func noOptionShowsThatSomethingGuessed(guesses: Guesses) throws {
        let (plain, guessed) = try open(guesses)
        var random = SeededGenerator()
        let seed = random.seed
        let first = try (0..<5).map { _ in try request(plain.file, &random) }
        let turned = try zip(first, run(first, on: plain)).map { ended($0, in: $1, &random) }
        // One that nothing turns away, of which much is guessed right with every seed.
        let options = GenerationOptions(maxTokens: 26, topK: 1)
        let recited = GenerationRequest(
            prompt: try plain.file.rows(of: .text(Self.poems[0].title), options), options: options)
        let requests = first + turned + [recited]
        let expected = try run(requests, on: plain)
        for (request, answer) in zip(requests, expected) {
            #expect(try run([request], on: guessed) == [answer], "seed \(seed), \(request.options)")
        }
        #expect(try run(requests, on: guessed) == expected, "seed \(seed), together")
        if guesses.count != nil { #expect(guessed.speculation.accepted > 10, "\(guessed.speculation)") }
    }

    /// Ends in the middle of what was guessed right, at each token of a poem.
    @Test(arguments: guesses.filter { $0.count != nil }) func aGuessBehindTheEndIsNoPartOfTheText(
        guesses: Guesses
    ) throws {
        let (plain, guessed) = try open(guesses)
        var options = GenerationOptions(decoding: .greedy, maxTokens: 30, logprobs: 1)
        func request() throws -> GenerationRequest {
            GenerationRequest(
                prompt: try plain.file.rows(of: .text(Self.poems[0].title), options), options: options)
        }
        let whole = try run([request()], on: plain)[0]
        #expect(try run([request()], on: guessed) == [whole])
        let characters = Array(whole.texts[0])
        var requests: [GenerationRequest] = []
        for place in whole.ids[0].indices.dropFirst() where requests.count < 15 {
            (options.eosID, options.stop, options.maxTokens) = (whole.ids[0][place], [], 30)
            requests.append(try request())
            (options.eosID, options.maxTokens) = (7, place)
            requests.append(try request())
            guard place + 1 < characters.count else { continue }
            // Begun by one token and ended by the next; and begun so, but never ended.
            options.maxTokens = 30
            options.stop = [String(characters[place...place + 1]), "\(characters[place])\u{0}"]
            requests.append(try request())
        }
        let expected = try run(requests, on: plain)
        for (request, answer) in zip(requests, expected) {
            #expect(try run([request], on: guessed) == [answer], "\(request.options)")
        }
        #expect(Set(expected.flatMap(\.reasons)) == [.stop, .length])
    }

    /// Either goes on from what the other has left, and leaves the same file.
    @Test(arguments: guesses) func sessionsKeepNothingOfGuesses(guesses: Guesses) throws {
        let (plain, guessed) = try open(guesses)
        var options = GenerationOptions(
            temperature: 0.7, topP: 0.9, seed: 5, repetitionPenalty: 1.1, noRepeatNgram: 4, logprobs: 1)
        func run(_ name: String, _ steps: [(tokens: Int, model: Model)]) throws -> (Answer, Data) {
            let path = folder.path(name)
            var answer: Answer?
            for (tokens, model) in steps {
                options.maxTokens = tokens
                answer = Answer(
                    try model.generate(
                        .text(Self.poems[2].title), options, samples: 2,
                        session: Session(path: path, interval: tokens % 2 == 0 ? 5 : nil, calls: calls)))
            }
            return (try #require(answer), try Data(contentsOf: URL(filePath: path)))
        }
        let (answer, bytes) = try run("plain", [(26, plain)])
        for (index, steps) in [
            [(26, guessed)], [(1, guessed), (10, plain), (26, guessed)], [(7, plain), (8, guessed), (26, plain)],
        ].enumerated() {
            let (other, otherBytes) = try run("\(index)", steps)
            #expect(other == answer, "\(index)")
            #expect(otherBytes == bytes, "\(index)")
        }
    }

    /// What has no drafts rides on the sweeps of what has.
    @Test(arguments: guesses.filter { $0.weights == .int8 }) func allKindsShareSweepsWithGuesses(
        guesses: Guesses
    ) async throws {
        let (plain, guessed) = try open(guesses)
        var random = SeededGenerator()
        let seed = random.seed
        let poem = Self.poems[1]
        let tokenizer = try plain.file.requireTokenizer()
        var texts = try (0..<5).map { _ in try request(plain.file, &random) }
        var beams = GenerationOptions(decoding: .beams(3), maxTokens: 9)
        texts.append(
            GenerationRequest(prompt: try plain.file.rows(of: .text(poem.title), beams), options: beams, samples: 2))
        beams.compatibility = .transformers
        texts.append(GenerationRequest(prompt: try plain.file.rows(of: .text(poem.title), beams), options: beams))
        let prompt = try plain.file.rows(of: .text(poem.title), GenerationOptions())
        let score = ScoreRequest(context: prompt, target: tokenizer.encode(poem.text))
        let embedding = EmbeddingRequest(text: prompt)
        let context = try plain.file.rows(of: .ids([6] + tokenizer.encode(poem.title + poem.text) + [7]), .filling)
        let fill = FillRequest(
            context: context, blanks: [.init(position: 12, length: 2), .init(position: 20, length: nil)], longest: 2)
        struct All: Equatable {
            let texts: [Answer]
            let scores: [TokenScore]
            let embedding: [Float]
            let filled: [[TokenLogprobs]]
        }
        let alone = All(
            texts: try texts.map { try run([$0], on: plain)[0] }, scores: try await plain.answer(to: score),
            embedding: try await plain.answer(to: embedding),
            filled: try await plain.answer(to: fill).blanks.map(\.tokens))
        let (scores, vector, filled) = try (
            begin(score, on: guessed), begin(embedding, on: guessed), begin(fill, on: guessed)
        )
        let told = try run(texts, on: guessed)
        let together = All(
            texts: told, scores: try await answer(scores), embedding: try await answer(vector),
            filled: try await answer(filled).blanks.map(\.tokens))
        #expect(together == alone, "seed \(seed)")
    }

    /// Texts with adapters and soft prompts of their own, guessed by a model that has none of them.
    @Test(arguments: KVPrecision.allCases, [nil, 3] as [Int?]) func adaptersAndSoftPromptsChangeNothing(
        kv: KVPrecision, count: Int?
    ) throws {
        let path = folder.path("tiny.leaf")
        try Fixture.convert("ant-tiny-c", form: "hf", weights: .int8, to: path)
        let golden = Golden.root.appending(path: "tuning")
        var file = try ModelFile(path: path)
        try file.addAdapter(path: golden.appending(path: "best.pt").path, named: "a")
        try file.addAdapter(path: golden.appending(path: "finetuned").path, named: "b")
        try file.addSoftPrompt(path: golden.appending(path: "prompt.safetensors").path, named: "p")
        let copy = folder.path("copy.leaf")
        try Self.requantize(path, to: copy, .q4)
        let sources: [DraftOptions.Source] = [
            .ngrams, .model(try ModelFile(path: path)), .model(try ModelFile(path: copy)),
        ]
        var random = SeededGenerator()
        let seed = random.seed
        let requests = try (0..<7).map { _ in
            var options = GenerationOptions(
                decoding: Bool.random(using: &random) ? .greedy : .sampling,
                maxTokens: .random(in: 10...30, using: &random), seed: .random(in: 0...99, using: &random),
                eosID: .random(in: 8..<300, using: &random), task: .random(in: 0..<4, using: &random))
            options.delta = [nil, "a", "b"].randomElement(using: &random) ?? nil
            options.promptEmbedding = [nil, "p"].randomElement(using: &random) ?? nil
            let ids = [6] + (0..<9).map { _ in Int32.random(in: 8..<300, using: &random) }
            return GenerationRequest(
                prompt: try file.rows(of: .ids(ids), options), options: options,
                samples: .random(in: 1...2, using: &random))
        }
        let expected = try run(requests, on: try Model(file, Self.options(kv, .none)))
        for source in sources {
            let guessed = try Model(file, Self.options(kv, DraftOptions(source, fixedCount: count)))
            for (request, answer) in zip(requests, expected) {
                #expect(try run([request], on: guessed) == [answer], "seed \(seed), \(request.options)")
            }
            #expect(try run(requests, on: guessed) == expected, "seed \(seed), together")
            if count != nil { #expect(guessed.speculation.drafted > 30, "\(guessed.speculation)") }
        }
    }
}
