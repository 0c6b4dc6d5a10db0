import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import Leafcutter
import Synchronization
import Testing

/// `Model.submit`: events, cancellation, limits, and who suffers from whom.
@Suite("Engine", .timeLimit(.minutes(30))) struct EngineTests {
    private let directory: TemporaryDirectory
    private let file: ModelFile
    private static let roomy = Demand(context: 400, rows: 260, logitRows: 60, sequences: 8)

    init() throws {
        directory = try TemporaryDirectory()
        file = try Fixture.tiny(in: directory)
    }

    private func open(
        _ capacity: Demand = roomy, streams: Bool = false, limit: Int = 1024,
        system: SystemCalls = .real
    ) throws -> Model {
        var options = ModelOptions(
            memory: .gibibytes(1), threads: 2, reading: .init(mode: .buffered), capacity: capacity,
            requestLimit: limit)
        if streams { options.memory = .bytes(try Model.plan(file, options).minimum) }
        return try Model(file, options, system: system)
    }

    private func text(_ tokens: Int, seed: UInt64 = 1, prompt: [Int32] = [6, 20, 30]) throws -> GenerationRequest {
        let options = GenerationOptions(maxTokens: tokens, seed: seed, eosID: 0)
        return GenerationRequest(prompt: try file.rows(of: .ids(prompt), options), options: options)
    }

    /// What came of a request, for a thread that waits.
    private final class Log<Answer: Sendable>: Sendable {
        let events = Mutex<[RequestEvent<Answer>]>([])
        private let finished = DispatchSemaphore(value: 0)

        func take(_ event: RequestEvent<Answer>) {
            events.withLock { $0.append(event) }
            if case .finished = event { finished.signal() }
        }
        func answer() -> Result<Answer, LeafError>? {
            finished.wait()
            return events.withLock { events in
                guard case .finished(let answer)? = events.last else { return nil }
                return answer
            }
        }
        var progress: [RequestProgress] {
            events.withLock { $0.compactMap { if case .progress(let progress) = $0 { progress } else { nil } } }
        }
        var pieces: [GeneratedPiece] {
            events.withLock { $0.compactMap { if case .piece(let piece) = $0 { piece } else { nil } } }
        }
    }

    private func ids(_ request: GenerationRequest, _ model: Model) throws -> [Int32] {
        let log = Log<Generation>()
        try model.submit(request, events: log.take)
        return try #require(log.answer()).get().samples[0].ids
    }

    @Test func nobodyWaitsAndTheAnswerComesLast() throws {
        let model = try open()
        let log = Log<Generation>()
        let request = try text(20)
        try model.submit(request, events: log.take)
        let generation = try #require(log.answer()).get()
        #expect(log.pieces.compactMap(\.id) == generation.samples[0].ids)
        #expect(generation.samples[0].ids.count == 20 && generation.seed == 1)
        #expect(log.events.withLock { $0.count { if case .finished = $0 { true } else { false } } } == 1)
        #expect(model.engine.isIdle)
    }

    private final class Sums: Sendable {
        let all = Mutex<[Float]>([])
    }

    /// A text, a score, a vector, blanks and logits: their rows meet on one sweep, and each answer is the one it has
    /// alone.
    @Test func requestsOfAllKindsShareASweep() throws {
        let model = try open()
        let prompt = try file.rows(of: .ids([6, 40, 41]), GenerationOptions())
        let score = ScoreRequest(context: prompt, target: [50, 51, 52])
        let vector = EmbeddingRequest(text: prompt)
        let blanks = FillRequest(
            context: try file.rows(of: .ids([6, 20, 30, 7]), .filling), blanks: [.init(position: 2, length: 1)])
        func sum(_ sums: Sums) -> LogitsRequest {
            file.logitsRequest(of: LogitsCase(id: "a", inputIDs: [6, 20, 30])) { row, logits throws(LeafError) in
                sums.all.withLock { $0.append(logits.reduce(Float(row), +)) }
            }
        }
        let sums = Sums()
        let (texts, scores, vectors, fillings, rows) = (
            Log<Generation>(), Log<[TokenScore]>(), Log<[Float]>(), Log<Filling>(), Log<Int>()
        )
        let before = model.counters.sweeps
        let text = try text(1)
        try model.engine.perform { _ throws(LeafError) in
            try model.submit(text, events: texts.take)
            try model.submit(score, events: scores.take)
            try model.submit(vector, events: vectors.take)
            try model.submit(blanks, events: fillings.take)
            try model.submit(sum(sums), events: rows.take)
        }
        let together = (
            try #require(texts.answer()).get().samples[0].ids, try #require(scores.answer()).get(),
            try #require(vectors.answer()).get(), try #require(fillings.answer()).get().ids,
            try #require(rows.answer()).get()
        )
        #expect(model.counters.sweeps == before + 1)
        #expect(try ids(text, model) == together.0)
        try model.answer([score]) { #expect((try? $1.get()) == together.1) }
        try model.answer([vector]) { #expect((try? $1.get()) == together.2) }
        try model.answer([blanks]) { #expect((try? $1.get().ids) == together.3) }
        let alone = Sums()
        try model.answer([sum(alone)]) { #expect((try? $1.get()) == together.4) }
        #expect(together.4 == 3 && sums.all.withLock { $0 } == alone.all.withLock { $0 })
    }

    @Test func aCancelledRequestLeavesTheOthersOnTheSweepAlone() throws {
        let disk = TestDisk()
        let model = try open(streams: true, system: disk.system)
        let (long, other) = (try text(2000, seed: 3), try text(40, seed: 4))
        let capacity = Demand(together: [long, other].map { $0.demand(in: file.configuration) })
        let alone = try ids(other, model)
        let shared = try open(capacity, streams: true, system: disk.system)
        let (cancelled, kept) = (Log<Generation>(), Log<Generation>())
        let begun = DispatchSemaphore(value: 0)
        let ticket = try shared.submit(long) { event in
            cancelled.take(event)
            if case .piece = event { begun.signal() }
        }
        try shared.submit(other) { event in
            kept.take(event)
            if case .piece = event { begun.signal() }
        }
        // Both have tokens, so both ride; the sweep stands still somewhere in its middle.
        for _ in 0..<4 { begun.wait() }
        disk.close()
        disk.waitForReader()
        DispatchQueue.concurrentPerform(iterations: 4) { _ in ticket.cancel() }
        disk.open()
        let stopped = try #require(cancelled.answer()).get()
        #expect(stopped.samples[0].finishReason == .interrupted)
        #expect(stopped.samples[0].ids.count < 2000)
        #expect(try #require(kept.answer()).get().samples[0].ids == alone)
        try shared.expectNothingIsLeft()
    }

    /// What was cancelled in the queue ends while others are still on their sweep.
    @Test func aRequestIsCancelledInTheQueue() throws {
        let disk = TestDisk()
        let model = try open(.init(context: 64, rows: 32), streams: true, system: disk.system)
        let first = Log<Generation>()
        let request = try text(20)
        let begun = DispatchSemaphore(value: 0)
        try model.submit(request) { event in
            first.take(event)
            if case .piece = event { begun.signal() }
        }
        begun.wait()
        let second = Log<Generation>()
        let ticket = try model.submit(try text(30), events: second.take)
        ticket.cancel()
        let stopped = try #require(second.answer()).get()
        #expect(stopped.samples[0].ids.isEmpty && stopped.sweeps == 0)
        #expect(stopped.samples[0].finishReason == .interrupted)
        #expect(try #require(first.answer()).get().samples[0].ids.count == 20)
    }

    /// On a disk that gives a byte a second nobody waits for the end of a chunk.
    @Test func cancellingTheLastRiderBreaksAWaitForTheDisk() throws {
        var options = ModelOptions(
            threads: 2, reading: .init(mode: .buffered, maxBytesPerSecond: 1), capacity: .init(context: 64, rows: 32))
        options.memory = .bytes(try Model.plan(file, options).minimum)
        let model = try Model(file, options)
        let log = Log<Generation>()
        let ticket = try model.submit(try text(5), events: log.take)
        // Both before and while it waits.
        usleep(UInt32.random(in: 0...20_000))
        ticket.cancel()
        #expect(try #require(log.answer()).get().samples[0].finishReason == .interrupted)
        try model.expectNothingIsLeft()
    }

    /// A track that fails in the middle of shared sweeps.
    private final class FailingTrack: Track {
        enum Way: CaseIterable { case rows, badRows, logits }

        let demand = Demand(pages: 2, sequences: 1, longest: 20, firstRows: 1, stepRows: 1, logitRows: 1, heapBytes: 0)
        let cancellation = Cancellation()
        var isFinished: Bool { false }
        private let way: Way
        private var sweeps = 0
        private var sequence: SequenceID?
        private let ended: @Sendable (LeafError?) -> Void

        init(_ way: Way, ended: @escaping @Sendable (LeafError?) -> Void) {
            self.way = way
            self.ended = ended
        }

        func addRows(to batch: inout RowBatch, _ model: Executor) throws(LeafError) {
            let sequence = sequence ?? model.cache.makeSequence()
            self.sequence = sequence
            sweeps += 1
            let id: Int32 = way == .badRows && sweeps == 4 ? 1_000_000 : 20
            batch.rows.append(
                RowBatch.Row(
                    input: .token(id), sequence: sequence, index: Int32(sweeps - 1), segment: 1, isContext: true,
                    wantsLogits: true))
            if way == .rows, sweeps == 4 { throw LeafError(.badInput, "no rows") }
        }

        func accept(
            _ row: LogitsRow, at index: Int, workspace: inout SamplingWorkspace
        ) throws(LeafError) {
            if way == .logits, sweeps == 4 { throw LeafError(.badInput, "bad logits") }
        }
        func tell(_ progress: SweepProgress) {}
        func end(_ error: LeafError?, _ model: Executor) {
            if let sequence { model.cache.remove(sequence) }
            ended(error)
        }
    }

    @Test(arguments: ["no rows", "1000000 is outside", "bad logits"]) func aFailingTrackFailsAlone(reason: String)
        throws
    {
        let model = try open()
        let way: FailingTrack.Way = reason == "no rows" ? .rows : reason == "bad logits" ? .logits : .badRows
        let requests = try (0..<3).map { try text(20, seed: UInt64($0)) }
        let alone = try requests.map { try ids($0, model) }
        let logs = requests.map { _ in Log<Generation>() }
        let failure = Mutex<[LeafError?]>([])
        try model.engine.perform { _ throws(LeafError) in
            for (index, request) in requests.enumerated() {
                if index == 1 {
                    model.engine.add([
                        { [FailingTrack(way, ended: { error in failure.withLock { $0.append(error) } })] }
                    ])
                }
                try model.submit(request, events: logs[index].take)
            }
        }
        for (log, ids) in zip(logs, alone) { #expect(try #require(log.answer()).get().samples[0].ids == ids) }
        let failures = failure.withLock { $0 }
        #expect(failures.count == 1)
        #expect(failures.first??.description.contains(reason) == true)
        try model.expectNothingIsLeft()
    }

    @Test func aSinkThatThrowsFailsItsRequestAlone() throws {
        let model = try open()
        let full = LeafError(.io, "the disk is full")
        let bad = file.logitsRequest(of: LogitsCase(id: "a", inputIDs: [6, 20])) { _, _ throws(LeafError) in throw full
        }
        let (failed, kept) = (Log<Int>(), Log<Generation>())
        let request = try text(5)
        let alone = try ids(request, model)
        try model.engine.perform { _ throws(LeafError) in
            try model.submit(bad, events: failed.take)
            try model.submit(request, events: kept.take)
        }
        #expect(failed.answer() == .failure(full))
        #expect(try #require(kept.answer()).get().samples[0].ids == alone)
        // And through the call that waits.
        var rows = 0
        #expect(throws: full) {
            try model.logits(of: [LogitsCase(id: "a", inputIDs: [6, 20]), LogitsCase(id: "b", inputIDs: [6])]) {
                _, _, _ throws(LeafError) in
                rows += 1
                if rows == 2 { throw full }
            }
        }
        #expect(rows == 2)
        try model.expectNothingIsLeft()
    }

    @Test func progressTellsPhaseSweepAndShare() throws {
        let disk = TestDisk()
        var system = disk.system
        let read = system.read
        // Some tenths of a second a sweep.
        system.read = { descriptor, target, count, offset in
            usleep(20_000)
            return read(descriptor, target, count, offset)
        }
        let model = try open(.init(context: 64, rows: 32), streams: true, system: system)
        let (first, second) = (Log<Generation>(), Log<Generation>())
        try model.submit(try text(3), events: first.take)
        try model.submit(try text(3, seed: 2), events: second.take)
        _ = (first.answer(), second.answer())
        for (log, phases) in [(first, ["prompt", "decoding"]), (second, ["queued", "prompt", "decoding"])] {
            var seen: [String] = []
            for progress in log.progress where seen.last != progress.phase.rawValue {
                seen.append(progress.phase.rawValue)
            }
            #expect(seen == phases)
            for progress in log.progress {
                #expect((0...1).contains(progress.share) && progress.chunkCount == model.plan.chunkCount)
                #expect((progress.sweep == 0) == (progress.phase == .queued))
                #expect(progress.rows == (progress.phase == .decoding ? 1 : progress.rows))
            }
            let sweeps = log.progress.map(\.sweep)
            #expect(sweeps == sweeps.sorted())
        }
    }

    @Test func oneMoreThanTheLimitIsRefusedAtOnce() throws {
        let disk = TestDisk()
        let model = try open(streams: true, limit: 3, system: disk.system)
        let logs = (0..<3).map { _ in Log<Generation>() }
        let request = try text(4)
        let alone = try ids(request, model)
        try model.engine.perform { _ throws(LeafError) in
            for log in logs { try model.submit(request, events: log.take) }
            let error = #expect(throws: LeafError.self) { try model.submit(request, events: { _ in }) }
            #expect(error?.kind == .busy)
        }
        for log in logs { #expect(try #require(log.answer()).get().samples[0].ids == alone) }
        #expect(try ids(request, model) == alone, "there is room again")
        // One call with many requests waits for its own.
        var answers = 0
        try model.generate(Array(repeating: request, count: 20)) { _, event in
            if case .finished(.success(let generation)) = event, generation.samples[0].ids == alone { answers += 1 }
        }
        #expect(answers == 20)
    }

    @Test func aBenchmarkNeedsTheModelToItself() throws {
        let model = try open()
        let request = try text(200)
        let log = Log<Generation>()
        let ticket = try model.submit(request, events: log.take)
        let benchmark = Benchmark(promptTokens: 4, generatedTokens: 2, repeats: 1)
        let error = #expect(throws: LeafError.self) { try model.run(benchmark) { _, _ in } }
        #expect(error?.kind == .busy)
        // Between two sweeps there is room for a look at the memory.
        _ = model.measureMemoryRate()
        ticket.cancel()
        _ = log.answer()
        #expect(try model.run(benchmark) { _, _ in }.decodeSecondsPerToken.count == 1)
        let cancellation = Cancellation()
        let stopped = #expect(throws: LeafError.self) {
            try model.run(benchmark, cancellation: cancellation) { _, _ in cancellation.cancel() }
        }
        #expect(stopped?.kind == .cancelled)
        try model.expectNothingIsLeft()
    }

    // MARK: Async

    @Test func aStreamEndsWithTheWholeAnswer() async throws {
        let model = try demo()
        let stream = model.generate("《登鹳雀楼》王之涣\n", .greedy)
        var text = ""
        for try await piece in stream { text += piece.text }
        let answer = try await stream.answer
        #expect(answer.samples[0].text == text && text.hasPrefix("白日依山尽"))
        #expect(answer.samples[0].finishReason == .stop && answer.promptTokens > 3 && answer.sweeps > 3)
        // Whoever wants the answer alone does not read the pieces.
        #expect(try await model.generate("《登鹳雀楼》王之涣\n", .greedy).answer.samples[0].text == text)
    }

    @Test func aStreamThatMakesNoSenseThrows() async throws {
        let model = try demo()
        let stream = model.generate("春", GenerationOptions(temperature: -1))
        await #expect(throws: LeafError.self) { for try await _ in stream {} }
        await #expect(throws: LeafError.self) { _ = try await stream.answer }
        await #expect(throws: LeafError.self) {
            for try await _ in model.generate("春", GenerationOptions(maxTokens: 100_000)) {}
        }
    }

    @Test func leavingAStreamEndsItsGeneration() async throws {
        let model = try demo()
        for try await _ in model.generate("春", GenerationOptions(maxTokens: 150, seed: 1, eosID: 0)) { break }
        let task = Task {
            for try await _ in model.generate("春", GenerationOptions(maxTokens: 150, seed: 1, eosID: 0)) {}
        }
        task.cancel()
        _ = try? await task.value
        let stream = model.generate("春", GenerationOptions(maxTokens: 150, seed: 1, eosID: 0))
        stream.cancel()
        #expect(try await stream.answer.samples[0].finishReason == .interrupted)
        while !model.engine.isIdle { try await Task.sleep(for: .milliseconds(1)) }
        try model.expectNothingIsLeft()
    }

    @Test func aTaskThatIsCancelledEndsItsRequest() async throws {
        let model = try open(.init(context: 3000, rows: 64))
        let request = try text(2000)
        let task = Task { try await model.answer(to: request) }
        task.cancel()
        #expect(try await task.value.samples[0].finishReason == .interrupted)
        let score = ScoreRequest(context: request.prompt, target: [50])
        #expect(try await model.answer(to: score).count == 1)
    }

    private func demo() throws -> Model {
        try Model(Fixture.demo(in: directory), ModelOptions(capacity: .init(context: 256)))
    }
}

extension Model {
    /// All pages of the cache are free, and no request counts any more.
    func expectNothingIsLeft(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let (free, pages, sequences) = try engine.perform { model throws(LeafError) in
            (model.cache.freePageCount, model.cache.pageCount, model.cache.sequenceCount)
        }
        #expect(free == pages && sequences == 0 && engine.isIdle, sourceLocation: sourceLocation)
    }
}
