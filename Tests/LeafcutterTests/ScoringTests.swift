import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafSystem
import Leafcutter
import Synchronization
import Testing

@Suite("Scores and embeddings") struct ScoringTests {
    private func open(_ directory: TemporaryDirectory, _ model: String, _ weights: WeightFormat) throws -> Model {
        let path = directory.path("\(model)-\(weights).leaf")
        try Fixture.convert(model, form: "cpm-live", weights: weights, to: path)
        return try Model(
            ModelFile(path: path),
            ModelOptions(
                memory: .gibibytes(1), threads: 2, capacity: .init(context: 300, rows: 120, logitRows: 60, sequences: 4)
            ))
    }

    private func scores(_ requests: [ScoreRequest], _ model: Model) throws -> [[TokenScore]] {
        var scores: [Int: Result<[TokenScore], LeafError>] = [:]
        try model.answer(requests) { scores[$0] = $1 }
        return try requests.indices.map { try #require(scores[$0]).get() }
    }

    private func request(_ context: [Int32], _ target: [Int32], _ model: Model) throws -> ScoreRequest {
        ScoreRequest(
            context: try PromptRows(ids: context, task: 2, segment: 2, for: model.file.configuration), target: target)
    }

    /// Log-softmax and rank of the reference's cached steps.
    @Test(arguments: ["ant-tiny-a", "ant-tiny-c", "ant-tiny-pruned"])
    func scoresAreThoseOfTheReferencesSteps(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try open(directory, model, .float32)
        let cases = try Golden.decode(GoldenCacheTests.Cache.self, "models/\(model)/golden/cache.json").cases
        for testCase in cases {
            for (row, length) in testCase.lengths.enumerated() {
                let target = testCase.continuation[row]
                let prompt = Array(testCase.inputIds[row].suffix(length))
                let scored = try scores([try request(prompt, target, opened)], opened)[0]
                #expect(scored.map(\.id) == target)
                for (step, score) in scored.enumerated() {
                    let logits = testCase.stepLogits[row][step].map { Double($0.value) }
                    let own = logits[Int(target[step])]
                    let logOfSum = log(logits.reduce(0) { $0 + exp($1) })
                    #expect(abs(score.logprob - (own - logOfSum)) < Double(logitTolerance))
                    #expect(abs(Double(score.logit) - own) < Double(logitTolerance))
                    let nearby = logits.contains { abs($0 - own) < Double(logitTolerance) && $0 != own }
                    if !nearby { #expect(score.rank == 1 + logits.count { $0 > own }) }
                }
            }
        }
    }

    /// With a mask that lets targets be seen from before, a token would give itself away.
    @Test func noTokenSeesWhatItIsScoredFor() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-c", .int8)
        var target = (0..<20).map { Int32(20 + $0 * 7) }
        let first = try scores([try request([6, 40, 41], target, model)], model)[0]
        for index in (1..<20).reversed() {
            target[index] = 299 - target[index]
            let changed = try scores([try request([6, 40, 41], target, model)], model)[0]
            #expect(changed[..<index] == first[..<index])
            #expect(changed[index] != first[index])
        }
    }

    /// Texts and generations on the same sweeps change nothing for each other.
    @Test func companyChangesNoScore() async throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let requests = try (0..<12).map { number in
            try request([6] + (0..<number * 3).map { Int32(30 + $0) }, (0...number).map { Int32(100 + $0 * 5) }, model)
        }
        let alone = try requests.map { try scores([$0], model)[0] }
        let options = GenerationOptions(maxTokens: 30, seed: 4, eosID: 0)
        let text = try model.generate(.ids([6, 9]), options).samples[0].ids
        async let generation = Task.detached { try model.generate(.ids([6, 9]), options).samples[0].ids }.value
        #expect(try scores(requests, model) == alone)
        #expect(try await generation == text)
    }

    /// The reference's output of the last norm.
    @Test(arguments: ["ant-tiny-a", "ant-tiny-c"])
    func embeddingsAreTheReferencesHiddenStates(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try open(directory, model, .float32)
        let configuration = opened.file.configuration
        let tensors = try PlainSafetensors(Golden.model(model).appendingPathComponent("golden/tensors.safetensors"))
        let cases = try Golden.decode(
            GoldenForwardTests.Forward.self, "models/\(model)/golden/forward.json"
        ).cases
        var compared = 0
        for testCase in cases {
            guard let final = tensors.floats("forward.\(testCase.id).final") else { continue }
            compared += 1
            let rows = configuration.promptLength + testCase.inputIds[0].count
            for (row, length) in testCase.lengths.enumerated() {
                func state(_ position: Int) -> ArraySlice<Float> {
                    final[((row * rows + position) * configuration.dimModel)...].prefix(configuration.dimModel)
                }
                let prompt = try PromptRows(
                    ids: Array(testCase.inputIds[row].suffix(length)), task: 2, segment: 2, for: configuration)
                var vectors: [Int: [Float]] = [:]
                try opened.answer([
                    EmbeddingRequest(text: prompt), EmbeddingRequest(text: prompt, pooling: .last),
                    EmbeddingRequest(text: prompt, pooling: .none),
                ]) { vectors[$0] = try? $1.get() }
                var mean = Array(repeating: Float(0), count: configuration.dimModel)
                for position in rows - length..<rows {
                    for (column, value) in state(position).enumerated() { mean[column] += value / Float(length) }
                }
                // Hidden states of the two reference implementations differ by 6e-5.
                #expect(largestDifference(try #require(vectors[0]), mean) < 5e-4, "\(testCase.id)")
                #expect(largestDifference(try #require(vectors[1]), Array(state(rows - 1))) < 5e-4, "\(testCase.id)")
                let states = Array((rows - length..<rows).map(state).joined())
                #expect(largestDifference(try #require(vectors[2]), states) < 5e-4, "\(testCase.id)")
            }
        }
        #expect(compared > 1)
    }

    /// A long text's states are read without room for its logits.
    @Test func embeddingsNeedNoLogits() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let text = try model.file.rows(of: .ids([6] + (20..<90)), GenerationOptions())
        let request = EmbeddingRequest(text: text, pooling: .none)
        #expect(request.demand(in: model.file.configuration).logitRows == 0)
        var states: [Float]?
        try model.answer([request]) { states = try? $1.get() }
        #expect(states?.count == 71 * model.file.configuration.dimModel)
    }

    /// On one sweep, rows with logits and rows without in turn.
    @Test func statesAndScoresRideTogether() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let question = try request([6, 30], [40, 41, 42], model)
        let texts = try (0..<2).map { number in
            EmbeddingRequest(
                text: try model.file.rows(of: .ids([6, 50, Int32(60 + number)]), GenerationOptions()), pooling: .none)
        }
        let scored = try scores([question], model)
        var vectors: [Int: [Float]] = [:]
        try model.answer(texts) { vectors[$0] = try? $1.get() }
        let before = model.counters.sweeps

        let same = Mutex(0)
        let ended = DispatchGroup()
        func submit<Request: ModelRequest>(_ request: Request, _ expected: Request.Answer) throws(LeafError)
        where Request.Answer: Equatable {
            ended.enter()
            try model.submit(request) { event in
                guard case .finished(let answer) = event else { return }
                if (try? answer.get()) == expected { same.withLock { $0 += 1 } }
                ended.leave()
            }
        }
        // From the engine's queue: no sweep begins in between.
        try model.engine.perform { _ throws(LeafError) in
            try submit(texts[0], vectors[0] ?? [])
            try submit(question, scored[0])
            try submit(texts[1], vectors[1] ?? [])
        }
        ended.wait()
        #expect(same.withLock { $0 } == 3)
        #expect(model.counters.sweeps == before + 1)
    }

    @Test func requestsAreTakenAsThereIsRoomForThem() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let requests = try (0..<40).map { try request([6, Int32(30 + $0)], [40, Int32(50 + $0)], model) }
        let expected = try scores(requests, model)
        var (taken, answered) = (0, 0)
        var found: [Int: [TokenScore]] = [:]
        try model.answer(
            ahead: 7,
            next: { () -> ScoreRequest? in
                #expect(taken - answered < 7)
                guard taken < requests.count else { return nil }
                taken += 1
                return requests[taken - 1]
            },
            onAnswer: { number, scores in
                answered += 1
                found[number] = try? scores.get()
            })
        #expect(requests.indices.map { found[$0] } == expected)
    }

    @Test func whatTheSourceOfRequestsThrowsIsThrown() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let good = try request([6, 30], [40], model)
        let reason = LeafError(.badInput, "line 6 is broken")
        var (taken, answered) = (0, 0)
        #expect(throws: reason) {
            try model.answer(
                ahead: 3,
                next: { () throws(LeafError) -> ScoreRequest? in
                    taken += 1
                    if taken == 6 { throw reason }
                    return good
                }, onAnswer: { _, _ in answered += 1 })
        }
        #expect(answered == 5)
        #expect(try scores([good], model).count == 1)

        // A request that makes no sense.
        #expect(throws: LeafError.self) {
            try model.answer(
                ahead: 3, next: { ScoreRequest(context: good.context, target: []) }, onAnswer: { _, _ in })
        }
    }

    @Test func aSlowSourceDoesNotHoldUpTheRequestsBefore() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let texts = try (0..<3).map { try request([6, 30], [40, Int32(50 + $0)], model) }
        let expected = try scores(texts, model)
        // Items of two requests; the second comes when the first has been answered, and not before.
        var (asked, finished) = (0, [Int]())
        try model.carryOut(
            ahead: 8, Cancellation(),
            next: { wait throws(LeafError) -> Arrival<Asked<[[TokenScore]?], ScoreRequest>> in
                // Nobody is kept waiting while anything is under way.
                #expect((wait == 0) == (asked > finished.count))
                if asked > finished.count { return .later }
                guard asked < 3 else { return .end }
                asked += 1
                return .value(([nil, nil], [texts[asked - 1], texts[0]]))
            },
            onEvent: { (scores: inout [[TokenScore]?], index: Int, event: ScoreRequest.Event) in
                guard let answer = event.answer else { return }
                #expect(scores[index] == nil)
                scores[index] = try? answer.get()
                if scores.allSatisfy({ $0 != nil }) {
                    #expect(scores == [expected[finished.count], expected[0]])
                    finished.append(index)
                }
            })
        #expect(finished.count == 3)
    }

    @Test func cancellingASilentSourceEnds() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let cancellation = Cancellation()
        var asked = 0
        try model.carryOut(
            ahead: 1, cancellation,
            next: { _ throws(LeafError) -> Arrival<Asked<Int, ScoreRequest>> in
                asked += 1
                if asked == 3 { cancellation.cancel() }
                return .later
            }, onEvent: { _, _, _ in Issue.record("nothing was asked for") })
        #expect(asked == 3)
    }

    @Test func cancellingTakesNoMoreRequests() throws {
        let directory = try TemporaryDirectory()
        let model = try open(directory, "ant-tiny-a", .int8)
        let endless = try request([6, 30], [40], model)
        var (taken, answered) = (0, 0)
        let cancellation = Cancellation()
        try model.answer(
            ahead: 4, cancellation: cancellation,
            next: { () -> ScoreRequest? in
                taken += 1
                return endless
            },
            onAnswer: { _, _ in
                answered += 1
                if answered == 10 { cancellation.cancel() }
            })
        #expect(answered == taken)
    }
}
