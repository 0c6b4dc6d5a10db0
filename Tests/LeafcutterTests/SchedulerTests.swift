import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafSystem
import Leafcutter
import Synchronization
import Testing

/// Requests of all kinds on shared sweeps.
@Suite("Shared sweeps") struct SchedulerTests {
    private static let vocabSize: Int32 = 300

    private func open(
        _ directory: TemporaryDirectory, _ capacity: Demand, weights: WeightFormat = .int8
    ) throws -> Model {
        let path = directory.path("model.leaf")
        if !FileManager.default.fileExists(atPath: path) {
            try Fixture.convert("ant-tiny-c", form: "hf", weights: weights, to: path)
        }
        return try Model(ModelFile(path: path), ModelOptions(memory: .gibibytes(1), threads: 2, capacity: capacity))
    }

    /// A request with random options; all that decides its text is in it.
    private func request(_ model: Model, _ random: inout some RandomNumberGenerator) throws -> GenerationRequest {
        let prompt =
            [6] + (0..<Int.random(in: 0...40, using: &random)).map { _ in Int32.random(in: 8..<300, using: &random) }
        var options = GenerationOptions(
            maxTokens: Int.random(in: 1...30, using: &random), temperature: Float.random(in: 0.5...1.5, using: &random),
            topP: [0, 0.5, 0.9].randomElement(using: &random) ?? 0,
            topK: [0, 5].randomElement(using: &random) ?? 0, seed: .random(in: 0...99, using: &random),
            repetitionPenalty: [1, 1.3].randomElement(using: &random) ?? 1,
            presencePenalty: [0, 0.5].randomElement(using: &random) ?? 0,
            noRepeatNgram: [0, 3].randomElement(using: &random) ?? 0, eosID: .random(in: 8..<300, using: &random),
            compatibility: Compatibility.allCases.randomElement(using: &random) ?? .cpmLive,
            task: .random(in: 0..<4, using: &random), segment: .random(in: 1..<8, using: &random))
        var samples = Int.random(in: 1...3, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: options.decoding = .greedy
        case 1:
            if options.compatibility == .transformersUncached { options.compatibility = .transformers }
            options.decoding = .beams(Int.random(in: 1...3, using: &random))
            samples = 1
        default: options.logprobs = 2
        }
        return GenerationRequest(
            prompt: try model.file.rows(of: .ids(prompt), options), options: options, samples: samples)
    }

    /// Joins at random sweeps, waits for room, leaves when it ends: the same bits as alone.
    @Test func companyChangesNoByte() async throws {
        let directory = try TemporaryDirectory()
        // Room for a few: the rest waits.
        let model = try open(directory, .init(context: 320, rows: 260, logitRows: 7, sequences: 7))
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let requests = try (0..<24).map { _ in try request(model, &random) }
        let alone = try requests.map { try Answer.run([$0], on: model)[0] }
        #expect(try Answer.run(requests, on: model) == alone, "seed \(seed)")

        let together = await withTaskGroup(of: (Int, Answer?).self) { group in
            for (index, request) in requests.enumerated() {
                let delay = Duration.microseconds(Int.random(in: 0...20_000, using: &random))
                group.addTask {
                    try? await Task.sleep(for: delay)
                    return (index, try? Answer.run([request], on: model)[0])
                }
            }
            return await group.reduce(into: [Int: Answer]()) { $0[$1.0] = $1.1 }
        }
        for index in requests.indices { #expect(together[index] == alone[index], "seed \(seed), request \(index)") }
    }

    @Test func textsOfOneLengthTakeTheSweepsOfOne() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, .init(context: 8 * 64, rows: 128, logitRows: 8, sequences: 8))
        let options = GenerationOptions(maxTokens: 12, seed: 1, eosID: 0)
        let request = GenerationRequest(prompt: try model.file.rows(of: .ids([6, 20, 30]), options), options: options)
        _ = try Answer.run(Array(repeating: request, count: 8), on: model)
        #expect(model.counters.sweeps == 12)
    }

    @Test func beamsShareTheirPromptsPages() throws {
        let directory = try TemporaryDirectory()
        let prompt = [6] + (0..<90).map { Int32(20 + $0) }
        let options = GenerationOptions(decoding: .beams(4), maxTokens: 10)
        let file = try open(directory, .init(context: 16)).file
        let request = GenerationRequest(prompt: try file.rows(of: .ids(prompt), options), options: options)
        let demand = request.demand(in: file.configuration)
        // 99 positions in 6 full pages and 3 more; each beam has what comes then.
        #expect(demand.pages == 6 + 4)
        let model = try open(directory, .init(together: [demand]))
        #expect(try Answer.run([request], on: model)[0].ids[0].count == 11)
    }

    @Test func cancellingOneMakesRoomForTheNext() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, .init(context: 4096, rows: 64))
        let options = GenerationOptions(maxTokens: 4000, seed: 1, eosID: 0)
        let endless = GenerationRequest(prompt: try model.file.rows(of: .ids([6]), options), options: options)
        var short = endless
        short.options.maxTokens = 3
        let pieces = Atomic<Int>(0)
        let finished = Mutex<Generation?>(nil)
        let thread = Thread {
            let cancellation = Cancellation()
            let generation = try? model.generate(
                .ids([6]), options, cancellation: cancellation,
                onPiece: { _ in
                    if pieces.add(1, ordering: .relaxed).newValue > 5 { cancellation.cancel() }
                })
            finished.withLock { $0 = generation }
        }
        thread.start()
        while pieces.load(ordering: .relaxed) == 0 { usleep(1000) }
        #expect(try Answer.run([short], on: model)[0].ids[0].count == 3)
        while !thread.isFinished { usleep(1000) }
        let stopped = try #require(finished.withLock { $0 })
        #expect(stopped.samples[0].finishReason == .interrupted)
        #expect((5..<4000).contains(stopped.samples[0].ids.count))
    }

    @Test func whatCanNeverFitIsRefusedAndTheOthersRun() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, .init(context: 64, rows: 32, logitRows: 2, sequences: 2))
        func request(_ prompt: Int, _ tokens: Int, _ samples: Int) throws -> GenerationRequest {
            let options = GenerationOptions(maxTokens: tokens, seed: 1, eosID: 0)
            let ids = [6] + Array(repeating: Int32(20), count: prompt - 1)
            return GenerationRequest(
                prompt: try model.file.rows(of: .ids(ids), options), options: options, samples: samples)
        }
        let requests = [
            try request(3, 90, 1), try request(3, 4, 2), try request(30, 4, 1), try request(3, 4, 3),
            try request(3, 4, 1),
        ]
        var outcomes: [Int: Result<Generation, LeafError>] = [:]
        try model.generate(requests) { index, event in
            if case .finished(let outcome) = event { outcomes[index] = outcome }
        }
        for (index, reason) in [(0, "100 tokens of context"), (2, "38 rows"), (3, "3 sequences")] {
            guard case .failure(let error)? = outcomes[index] else {
                Issue.record("request \(index) ran")
                continue
            }
            #expect(error.kind == .tooLong)
            #expect(error.description.contains(reason), "\(error)")
        }
        #expect(try outcomes[1]?.get().samples.count == 2)
        #expect(try outcomes[4]?.get().samples[0].ids.count == 4)
    }

    /// Rows that want logits ride with a text that is being generated, and neither changes the other.
    @Test func logitsAreComputedBesideGenerations() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, .init(context: 120, rows: 64, logitRows: 8, sequences: 2))
        let cases = [LogitsCase(id: "a", inputIDs: [6, 20, 30])]
        let alone = try Fixture.logits(model, cases)
        let options = GenerationOptions(maxTokens: 60, seed: 1, eosID: 0)
        let text = try model.generate(.ids([6, 9]), options).samples[0].ids
        let begun = Atomic<Bool>(false)
        let result = Mutex<[Int32]>([])
        let thread = Thread {
            let generation = try? model.generate(
                .ids([6, 9]), options, onPiece: { _ in begun.store(true, ordering: .releasing) })
            result.withLock { $0 = generation?.samples[0].ids ?? [] }
        }
        thread.start()
        while !begun.load(ordering: .acquiring) { usleep(100) }
        #expect(try Fixture.logits(model, cases) == alone)
        while !thread.isFinished { usleep(1000) }
        #expect(result.withLock { $0 } == text)
    }
}
