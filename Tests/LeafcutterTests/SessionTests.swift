import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafTokenizer
import Leafcutter
import Synchronization
import Testing

/// A generation that was stopped anywhere and goes on gives the bytes of one that never stopped.
@Suite("Sessions") struct SessionTests {
    /// One way to generate.
    struct Way: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var prompt: [Int32] = [6, 20, 30, 40, 50, 60, 70]
        var samples = 1
        let options: GenerationOptions

        init(
            _ name: String, _ options: GenerationOptions, prompt: [Int32]? = nil, samples: Int = 1
        ) {
            testDescription = name
            self.options = options
            self.samples = samples
            if let prompt { self.prompt = prompt }
        }
    }

    private static func options(
        _ decoding: GenerationOptions.Decoding, _ compatibility: Compatibility = .cpmLive, tokens: Int = 14,
        change: (inout GenerationOptions) -> Void = { _ in }
    ) -> GenerationOptions {
        var options = GenerationOptions(
            decoding: decoding, maxTokens: tokens, seed: 11, repetitionPenalty: 1.1, compatibility: compatibility)
        change(&options)
        return options
    }

    static let ways = [
        Way("greedy", options(.greedy)),
        Way("sampling", options(.sampling) { $0.logprobs = 2 }),
        // Pages are full with the prompt, and some samples end early.
        Way(
            "samples", options(.sampling, tokens: 30) { $0.logitBias = [7: 4] }, prompt: [6, 9, 8, 30, 31, 32, 33, 34],
            samples: 4),
        Way("ended by its first token", options(.greedy) { ($0.logitBias, $0.allowEmpty) = ([7: 1000], true) }),
        Way("beams", options(.beams(3)), samples: 3),
        Way("beams that end", options(.beams(4), tokens: 25) { $0.logitBias = [7: 3] }, samples: 2),
        Way("beams of transformers", options(.beams(3), .transformers), prompt: [6, 0, 20, 0, 30]),
        Way(
            "padding", options(.sampling, .transformers, tokens: 20) { $0.logitBias = [0: 6] },
            prompt: [6, 0, 20, 0, 30]),
        Way("beams with padding", options(.beams(2), .transformers) { $0.logitBias = [0: 4] }, prompt: [6, 20, 30]),
        Way("raw", options(.sampling, .transformersRaw) { $0.topP = 0 }),
        Way("uncached", options(.sampling, .transformersUncached), samples: 2),
    ]

    private let folder: TemporaryDirectory
    private let calls: WriteCalls

    init() throws {
        folder = try TemporaryDirectory()
        // No test here pulls the plug.
        var calls = WriteCalls()
        calls.synchronize = { _ in 0 }
        self.calls = calls
    }

    private func open(
        _ options: ModelOptions? = nil, weights: WeightFormat = .int8,
        tunings: (inout ModelFile) throws -> Void = { _ in }
    ) throws -> Model {
        let path = folder.path("\(weights.rawValue).leaf")
        if !FileManager.default.fileExists(atPath: path) {
            try Fixture.convert("ant-tiny-c", form: "hf", weights: weights, to: path)
        }
        var file = try ModelFile(path: path)
        try tunings(&file)
        return try Model(file, options ?? Self.roomy)
    }

    private static let roomy = ModelOptions(
        memory: .gibibytes(1), threads: 2, capacity: .init(context: 320, rows: 120, logitRows: 4, sequences: 4),
        keepsSessions: true)

    /// As large as the model's: the first of CPM-Ant's tokens, each in a line.
    private static let vocabulary = Result {
        try Vocabulary(text: Array(Tokenizer.bundledVocabulary.split(separator: 10)[..<300].joined(separator: [10])))
    }

    private func session(_ name: String = "a.session", interval: Int? = nil) throws -> Session {
        try Session(path: folder.path(name), interval: interval, calls: calls)
    }

    private func request(_ way: Way, _ session: Session?, on model: Model) throws -> GenerationRequest {
        GenerationRequest(
            prompt: try model.file.rows(of: .ids(way.prompt), way.options), options: way.options,
            samples: way.samples, session: session)
    }

    /// What a request gave, times left out.
    private struct Answer: Equatable {
        let samples: [Generation.Sample]
        let seed: UInt64
        var isFinished: Bool { !samples.contains { $0.finishReason == .interrupted } }

        init(_ generation: Generation) {
            samples = generation.samples
            seed = generation.seed
        }

        static func == (a: Answer, b: Answer) -> Bool {
            a.seed == b.seed
                && a.samples.elementsEqual(b.samples) {
                    $0.ids == $1.ids && $0.text == $1.text && $0.finishReason == $1.finishReason && $0.score == $1.score
                        && $0.logprobs == $1.logprobs
                }
        }
    }

    /// Runs a request on the model's thread, and stops it when it has been asked so many times whether it is to stop:
    /// before each sweep, and before each block of one.
    private func run(_ request: GenerationRequest, on model: Model, questions: Int = .max) throws -> Answer {
        let request = try request.resumed(from: [])
        // Text matters to stop strings alone.
        let vocabulary = request.options.stop.isEmpty ? nil : try Self.vocabulary.get()
        let answer = Mutex<Result<Generation, LeafError>?>(nil)
        let pieces = Mutex<[Int: [Int32]]>([:])
        let configuration = model.file.configuration
        try model.engine.perform { cpm throws(LeafError) in
            let track = request.track(
                for: configuration, vocabulary: vocabulary, cancellation: Cancellation(),
                onEvent: { event in
                    switch event {
                    case .piece(let piece):
                        pieces.withLock { if let id = piece.id { $0[piece.sample, default: []].append(id) } }
                    case .progress: break
                    case .finished(let result): answer.withLock { $0 = result }
                    }
                })
            let scheduler = try Scheduler(model: cpm, queue: model.engine.queue, interest: model.engine.interest)
            scheduler.add(StoppedTrack(track, questions: questions))
            while scheduler.hasWork { scheduler.sweep() }
        }
        let generation = try #require(answer.withLock { $0 }).get()
        // What came piece by piece is what came at the end.
        for (index, sample) in generation.samples.enumerated() {
            #expect(pieces.withLock { $0[index] ?? [] } == sample.ids)
        }
        return Answer(generation)
    }

    @Test(arguments: ways) func aStopAnywhereChangesNothing(way: Way) throws {
        try expectSame(way, on: open())
    }

    /// Stops a generation at one question after the other, and lets it go on each time.
    ///
    /// - Returns: what it gives without a stop.
    @discardableResult private func expectSame(_ way: Way, on model: Model) throws -> Answer {
        let whole = try run(request(way, nil, on: model), on: model)
        #expect(whole.isFinished)
        var stops = 0
        // A sweep asks six times; strides that meet every one of its questions.
        for questions in stride(from: 1, to: .max, by: 5) {
            let session = try session("\(UUID().uuidString).session")
            let begun = try run(request(way, session, on: model), on: model, questions: questions)
            let isFinished = begun == whole
            if !isFinished {
                stops += 1
                for (sample, all) in zip(begun.samples, whole.samples) where sample.score == nil {
                    #expect(all.ids.starts(with: sample.ids))
                }
            }
            let saved = try? Data(contentsOf: URL(filePath: session.path))
            #expect(try run(request(way, session, on: model), on: model) == whole, "\(questions)")
            #expect(session.failure == nil)
            if isFinished {
                // Nothing was left to do, and nothing to write.
                #expect(try Data(contentsOf: URL(filePath: session.path)) == saved)
                break
            }
        }
        #expect(stops >= min(2, whole.samples[0].ids.count))
        return whole
    }

    @Test(arguments: ["best.pt", "finetuned"], ways.filter { $0.options.compatibility == .cpmLive })
    func aStopWithAnAdapterChangesNothing(adapter: String, way: Way) throws {
        let path = Golden.root.appending(path: "tuning/\(adapter)").path
        let whole = try expectSame(
            way,
            on: open(tunings: { file in try file.tunings.add(AdapterFile(path: path, for: file.configuration)) }))
        if way.options.logitBias[7] == nil {
            let model = try open()
            #expect(try run(request(way, nil, on: model), on: model) != whole, "the adapter makes a difference")
        }
    }

    /// Whatever was held back before the stop is known again behind it.
    @Test(arguments: [1, 3]) func stopStringsAreMetAcrossAStop(samples: Int) throws {
        let model = try open()
        let plain = Self.options(.sampling) { $0.stop = ["\u{0}"] }
        let text = try run(request(Way("", plain), nil, on: model), on: model).samples[0].text
        let characters = Array(text)
        for start in [0, 3, characters.count - 4] {
            // Begun by one token and ended by later ones; and begun as often, but never ended.
            let stop = String(characters[start..<start + 3])
            var options = plain
            options.stop = [stop, stop.dropLast() + "\u{0}"]
            let whole = try expectSame(Way("", options, samples: samples), on: model)
            let end = try #require(text.range(of: stop)).lowerBound
            #expect(whole.samples[0].text == text[..<end])
            #expect(whole.samples[0].finishReason == .stop)
        }
    }

    /// On one machine, with as many threads.
    @Test(arguments: [WeightFormat.q4, .q3, .float16, .float32], ways)
    func aStopWithOtherWeightsChangesNothing(weights: WeightFormat, way: Way) throws {
        try expectSame(way, on: open(weights: weights))
    }

    @Test(arguments: ways) func manyStopsChangeNothing(way: Way) throws {
        let model = try open()
        let whole = try run(request(way, nil, on: model), on: model)
        let session = try session(interval: 3)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<1000 {
            let questions = Int.random(in: 1...16, using: &random)
            if try run(request(way, session, on: model), on: model, questions: questions) == whole { break }
        }
        #expect(try run(request(way, session, on: model), on: model) == whole)
    }

    /// Another budget, other threads, kernels and ways to read; and other requests beside it.
    @Test(arguments: ways.filter { $0.options.decoding != .greedy })
    func anotherProcessMayGoOn(way: Way) throws {
        let model = try open()
        let whole = try run(request(way, nil, on: model), on: model)
        for set in InstructionSet.available {
            let session = try session("\(set).session")
            _ = try run(request(way, session, on: model), on: model, questions: 30)
            var options = Self.roomy
            (options.threads, options.reading.mode, options.instructionSet) = (3, .buffered, set)
            options.memory = .bytes(try Model.plan(model.file, options).minimum)
            let other = try open(options)
            #expect(try run(request(way, session, on: other), on: other) == whole)
        }
    }

    @Test func sessionsRideOnSharedSweeps() throws {
        var options = Self.roomy
        options.capacity = .init(context: 1000, rows: 300, logitRows: 20, sequences: 20)
        let model = try open(options)
        let alone = try Self.ways.map { try run(request($0, nil, on: model), on: model) }
        let requests = try Self.ways.enumerated().map { index, way in
            let request = try request(way, session("\(index).session"), on: model)
            let cancellation = Cancellation()
            if index % 5 == 4 { cancellation.cancel() }
            _ = try model.generate(
                .ids(way.prompt), way.options, samples: way.samples, session: request.session,
                cancellation: cancellation, onPiece: { _ in if Bool.random() { cancellation.cancel() } })
            return request
        }
        var answers: [Int: Answer] = [:]
        try model.generate(requests) { index, event in
            if case .finished(let outcome) = event { answers[index] = (try? outcome.get()).map(Answer.init) }
        }
        for index in requests.indices { #expect(answers[index] == alone[index], "\(Self.ways[index].testDescription)") }
    }

    @Test func aLargerNumberOfTokensGoesOnWhereTheLengthHadEndedIt() throws {
        let model = try open()
        for way in [Self.ways[0], Self.ways[1], Self.ways[2]] {
            let session = try session("\(way.testDescription).session")
            for tokens in [1, 2, 7, 7, 40] {
                var options = way.options
                options.maxTokens = tokens
                let whole = try model.generate(.ids(way.prompt), options, samples: way.samples)
                let resumed = try model.generate(.ids(way.prompt), options, samples: way.samples, session: session)
                #expect(Answer(resumed) == Answer(whole))
                #expect(try session.contents()?.tokens == whole.samples.map(\.ids.count).max())
            }
            var options = way.options
            options.maxTokens = 3
            let error = #expect(throws: LeafError.self) {
                try model.generate(.ids(way.prompt), options, samples: way.samples, session: session)
            }
            #expect(error?.kind == .usage && error?.description.contains("max-tokens 3") == true)
        }
    }

    @Test func aFinishedAnswerNeedsNoSweep() throws {
        let model = try open()
        let session = try session()
        let options = GenerationOptions(maxTokens: 9)
        let first = try model.generate(.ids([6, 20]), options, session: session)
        let again = try model.generate(.ids([6, 20]), options, session: session)
        #expect(Answer(again) == Answer(first))
        let count = first.samples[0].ids.count
        #expect(first.resumedTokens == 0 && first.newTokens == count)
        #expect(again.sweeps == 0 && again.resumedTokens == count && again.newTokens == 0)
    }

    /// Every option, adapters and all, and the prompt.
    @Test func whatIsNotTheSameIsRefusedByName() throws {
        let golden = Golden.root.appending(path: "tuning")
        let model = try open { file in
            try file.tunings.add(
                AdapterFile(path: golden.appending(path: "best.pt").path, for: file.configuration), named: "a")
            try file.tunings.add(
                SoftPromptFile(path: golden.appending(path: "prompt.safetensors").path, for: file.configuration),
                named: "p")
        }
        let prompt: [Int32] = [6, 20, 30]
        let changes: [(name: String, change: (inout GenerationOptions) -> Void)] = [
            ("greedy", { $0.decoding = .greedy }), ("beams 2", { $0.decoding = .beams(2) }),
            ("temperature 0.8", { $0.temperature = 0.8 }), ("top-p", { $0.topP = 0.5 }),
            ("top-k", { $0.topK = 4 }), ("min-p", { $0.minP = 0.1 }), ("seed 4", { $0.seed = 4 }),
            ("repetition-penalty", { $0.repetitionPenalty = 1.5 }),
            ("repetition-window", { $0.repetitionWindow = 9 }),
            ("frequency-penalty", { $0.frequencyPenalty = 0.5 }),
            ("presence-penalty", { $0.presencePenalty = 0.5 }), ("no-repeat-ngram", { $0.noRepeatNgram = 3 }),
            ("logit-bias", { $0.logitBias = [30: 1] }), ("allow-empty", { $0.allowEmpty = true }),
            ("eos-id", { $0.eosID = 9 }), ("stop", { $0.stop = ["a"] }),
            ("length-penalty", { $0.lengthPenalty = 2 }), ("early-stopping", { $0.earlyStopping = true }),
            ("compat", { $0.compatibility = .transformers }), ("task", { $0.task = 1 }),
            ("segment", { $0.segment = 1 }), ("logprobs", { $0.logprobs = 1 }), ("adapter", { $0.delta = "a" }),
            ("soft prompt", { $0.promptEmbedding = "p" }),
        ]
        let options = GenerationOptions(maxTokens: 4, seed: 3)
        // An option that is not compared would go unnoticed: decoding is there twice, the length is not an option.
        #expect(Mirror(reflecting: options).children.count == changes.count - 1 + 1)
        let session = try session()
        let first = try model.generate(.ids(prompt), options, session: session)
        let saved = try Data(contentsOf: URL(filePath: session.path))
        func expectRefusal(_ name: String, _ prompt: [Int32], _ options: GenerationOptions, samples: Int = 1) {
            let error = #expect(throws: LeafError.self, "\(name)") {
                try model.generate(.ids(prompt), options, samples: samples, session: session)
            }
            #expect(error?.kind == .usage, "\(name)")
            #expect(error?.description.contains(name) == true, "\(name): \(error?.description ?? "")")
            #expect(error?.description.hasPrefix(session.path) == true)
        }
        for (name, change) in changes {
            var other = options
            change(&other)
            expectRefusal(name, prompt, other)
        }
        expectRefusal("number 2", prompt, options, samples: 2)
        expectRefusal("a shorter prompt", prompt + [40], options)
        expectRefusal("another prompt", [6, 20], options)
        #expect(try Data(contentsOf: URL(filePath: session.path)) == saved)
        #expect(try model.generate(.ids(prompt), options, session: session).samples[0].ids == first.samples[0].ids)

        var beams = options
        beams.decoding = .beams(2)
        let search = try self.session("beams.session")
        _ = try model.generate(.ids(prompt), beams, session: search)
        beams.maxTokens = 5
        let error = #expect(throws: LeafError.self) { try model.generate(.ids(prompt), beams, session: search) }
        #expect(error?.description.contains("max-tokens 4") == true)
    }

    @Test func anotherModelPrecisionOrAdapterIsRefused() throws {
        let golden = Golden.root.appending(path: "tuning")
        let session = try session()
        let options = GenerationOptions(maxTokens: 4, seed: 3)
        func add(_ name: String, _ file: inout ModelFile) throws {
            try file.tunings.add(AdapterFile(path: golden.appending(path: name).path, for: file.configuration))
        }
        let first = try open(tunings: { try add("best.pt", &$0) })
            .generate(.ids([6, 20]), options, session: session)
        // The same adapter from the same file.
        let again = try open(tunings: { try add("best.pt", &$0) }).generate(.ids([6, 20]), options, session: session)
        #expect(again.samples[0].ids == first.samples[0].ids && again.sweeps == 0)
        func expectRefusal(_ words: String, _ model: Model) {
            let error = #expect(throws: LeafError.self) {
                try model.generate(.ids([6, 20]), options, session: session)
            }
            #expect(error?.kind == .usage)
            #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
        }
        expectRefusal("adapter", try open())
        expectRefusal("adapter", try open(tunings: { try add("finetuned", &$0) }))
        var other = Self.roomy
        other.kv = .f32
        expectRefusal("kv f16", try open(other))
        other = Self.roomy
        other.activations = .int8
        expectRefusal("activations int16", try open(other))
        try Fixture.convert("ant-tiny-c", form: "hf", weights: .float16, to: folder.path("other.leaf"))
        expectRefusal("another model", try Model(ModelFile(path: folder.path("other.leaf")), Self.roomy))
        other = Self.roomy
        other.keepsSessions = false
        expectRefusal("keepsSessions", try open(other))
    }

    @Test func aFailedWriteLeavesTheOldSessionAndTheAnswer() throws {
        let model = try open()
        var options = GenerationOptions(maxTokens: 5, seed: 3)
        let good = try session()
        _ = try model.generate(.ids([6, 20]), options, session: good)
        let saved = try Data(contentsOf: URL(filePath: good.path))
        options.maxTokens = 30
        let whole = try model.generate(.ids([6, 20]), options)
        for bytes in [0, 5000] {
            let watched = Mutex<Session?>(nil)
            let passing = Atomic<Int>(0)
            var calls = calls
            calls.write = { descriptor, source, count, offset in
                guard offset + count <= bytes else {
                    if watched.withLock({ $0?.passingFailure != nil }) {
                        passing.wrappingAdd(1, ordering: .relaxed)
                    }
                    errno = ENOSPC
                    return -1
                }
                return pwrite(descriptor, source, count, offset)
            }
            let full = try Session(path: good.path, interval: 4, calls: calls)
            watched.withLock { $0 = full }
            #expect(Answer(try model.generate(.ids([6, 20]), options, session: full)) == Answer(whole))
            watched.withLock { $0 = nil }
            #expect(full.failure?.kind == .io)
            // Seen by every saving behind the first, until the last has failed too.
            #expect(passing.load(ordering: .relaxed) > 0)
            #expect(full.passingFailure == nil)
            #expect(full.failure?.description.contains("is full") == true)
            #expect(try Data(contentsOf: URL(filePath: good.path)) == saved)
            #expect(!FileManager.default.fileExists(atPath: good.path + ".part"))
        }
        #expect(Answer(try model.generate(.ids([6, 20]), options, session: good)) == Answer(whole))
    }

    /// Files with the right digests whose contents no program wrote.
    @Test(arguments: ["sampling", "samples", "beams"]) func hostileContentsNeverCrash(name: String) throws {
        let way = try #require(Self.ways.first { $0.testDescription == name })
        let model = try open()
        let session = try session()
        _ = try run(request(way, session, on: model), on: model, questions: 40)
        let contents = try contents(of: session.path)
        var random = SystemRandomNumberGenerator()
        var refusals = 0
        for round in 0..<400 {
            var spoiled = contents
            // Mostly what stands in front of the pages.
            let offset = Int.random(in: 0..<(round % 8 == 0 ? contents.count - 4 : 1200), using: &random)
            let value = [0, 1, 0x7FFF_FFFF, .max, .random(in: 0...400, using: &random)].randomElement() ?? 0 as UInt32
            spoiled.replaceSubrange(offset..<(offset + 4), with: withUnsafeBytes(of: value.littleEndian, Array.init))
            if round % 5 == 0 { spoiled.removeLast(Int.random(in: 1..<spoiled.count, using: &random)) }
            try write(spoiled, to: session.path)
            do {
                _ = try run(request(way, session, on: model), on: model, questions: 30)
            } catch is LeafError {
                refusals += 1
                let file = try self.contents(of: session.path)
                #expect(file == spoiled, "a refused file is left alone")
            }
        }
        #expect(refusals > 100)
        // Nothing of them is left in the cache.
        try write(contents, to: session.path)
        let whole = try run(request(way, nil, on: model), on: model)
        #expect(try run(request(way, session, on: model), on: model) == whole)
    }

    private func contents(of path: String) throws -> [UInt8] {
        let reader = try SessionReader(InputFile(path: path))
        var contents: [UInt8] = []
        // A byte at a time until it ends.
        while true {
            var byte: UInt8 = 0
            do {
                byte = try reader.integer()
            } catch {
                return contents
            }
            contents.append(byte)
        }
    }

    private func write(_ contents: [UInt8], to path: String) throws {
        let output = try OutputFile(path: path, calls: calls)
        try output.truncate(to: 0)
        let writer = try SessionWriter(output)
        try contents.withUnsafeBytes { try writer.append($0) }
        try writer.finish()
    }
}

/// A track that is stopped when it has been asked so many times whether it is to stop.
private final class StoppedTrack: Track {
    private let track: any Track
    private var questions: Int

    init(_ track: any Track, questions: Int) {
        self.track = track
        self.questions = questions
    }

    var demand: Demand { track.demand }
    var cancellation: Cancellation { track.cancellation }
    var isFinished: Bool { track.isFinished }
    var isCancelled: Bool {
        questions -= 1
        return questions < 0
    }

    func begin(_ model: Executor) throws(LeafError) { try track.begin(model) }
    func addRows(to batch: inout RowBatch, _ model: Executor) throws(LeafError) {
        try track.addRows(to: &batch, model)
    }
    func accept(
        _ row: LogitsRow, at index: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) { try track.accept(row, at: index, workspace: &workspace) }
    func endSweep(_ model: Executor) { track.endSweep(model) }
    func tell(_ progress: SweepProgress) { track.tell(progress) }
    func end(_ error: LeafError?, _ model: Executor) { track.end(error, model) }
}
