import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import Leafcutter
import Synchronization
import Testing

/// The engine on disks of all kinds, with requests that come, go and are cancelled at random.
///
/// `LEAFCUTTER_SIMULATION_ROUNDS` makes it longer; the seed that a failure names repeats what was asked, though not
/// when threads ran.
@Suite("Engine simulation", .timeLimit(.minutes(60))) struct SimulationTests {
    enum Disk: String, CaseIterable, Sendable {
        case quiet, slow, short, paced, failing
    }

    private static let rounds =
        ProcessInfo.processInfo.environment["LEAFCUTTER_SIMULATION_ROUNDS"].flatMap { Int($0) } ?? 100
    private static let roundsAModel = 25

    /// What became of a request.
    private enum Verdict: Equatable {
        case same, other, cancelled
        case failed(LeafError)
    }

    /// A request whose answer on a quiet disk is known.
    private struct Job: Sendable {
        let name: String
        let submit: @Sendable (Model, @escaping @Sendable (Verdict?) -> Void) throws(LeafError) -> Ticket

        /// - Parameter part: whether an answer is a part of the expected one, because it was cancelled.
        init<Request: ModelRequest, Key: Equatable & Sendable>(
            _ name: String, _ request: Request, on quiet: Model,
            part: @escaping @Sendable (_ answer: Request.Answer, _ expected: Key) -> Bool = { _, _ in false },
            key: @escaping @Sendable (Request.Answer) -> Key
        ) throws {
            var outcome: Result<Request.Answer, LeafError>?
            try quiet.answer([request]) { outcome = $1 }
            let expected = key(try #require(outcome).get())
            self.name = name
            submit = { (model, tell) throws(LeafError) in
                try model.submit(request) { event in
                    guard case .finished(let outcome) = event else { return tell(nil) }
                    switch outcome {
                    case .success(let answer):
                        tell(key(answer) == expected ? .same : part(answer, expected) ? .cancelled : .other)
                    case .failure(let error): tell(error.kind == .cancelled ? .cancelled : .failed(error))
                    }
                }
            }
        }
    }

    /// A request that was submitted.
    private final class Run: Sendable {
        let job: Job
        let verdicts = Mutex<[Verdict]>([])
        let isLate = Mutex(false)
        let ticket = Mutex<Ticket?>(nil)
        let isCancelled = Mutex(false)

        init(_ job: Job) { self.job = job }

        func take(_ verdict: Verdict?) {
            verdicts.withLock { verdicts in
                if !verdicts.isEmpty { isLate.withLock { $0 = true } }
                if let verdict { verdicts.append(verdict) }
            }
        }
    }

    private func jobs(_ model: Model) throws -> [Job] {
        let file = model.file
        func text(
            _ name: String, _ tokens: Int, _ decoding: GenerationOptions.Decoding, samples: Int = 1, prompt: [Int32]
        ) throws -> Job {
            let options = GenerationOptions(
                decoding: decoding, maxTokens: tokens, seed: UInt64(tokens), repetitionPenalty: 1.1, eosID: 9)
            let request = GenerationRequest(
                prompt: try file.rows(of: .ids(prompt), options), options: options, samples: samples)
            return try Job(
                name, request, on: model,
                part: { answer, expected in
                    answer.samples.contains { $0.finishReason == .interrupted }
                        && (decoding != .greedy && decoding != .sampling
                            || zip(answer.samples, expected).allSatisfy { $1.starts(with: $0.ids) })
                }, key: { $0.samples.map(\.ids) })
        }
        let prompt = try file.rows(of: .ids([6, 40, 41, 42]), GenerationOptions())
        let context = try file.rows(of: .ids([6, 20, 30, 40, 7]), .filling)
        return [
            try text("greedy", 25, .greedy, prompt: [6, 20, 30]),
            try text("long prompt", 6, .sampling, prompt: [6] + (0..<70).map { 20 + $0 }),
            try text("samples", 12, .sampling, samples: 3, prompt: [6, 33]),
            try text("beams", 9, .beams(3), prompt: [6, 50, 51]),
            try text("one token", 1, .sampling, prompt: [6]),
            try Job("score", ScoreRequest(context: prompt, target: [50, 51, 52]), on: model) { $0 },
            try Job("vector", EmbeddingRequest(text: prompt), on: model) { $0 },
            try Job("states", EmbeddingRequest(text: prompt, pooling: .none), on: model) { $0 },
            try Job(
                "blanks",
                FillRequest(
                    context: context, blanks: [.init(position: 2, length: 2), .init(position: 3, length: nil)],
                    longest: 3),
                on: model
            ) { $0.ids },
            try Job(
                "logits",
                file.logitsRequest(of: LogitsCase(id: "a", inputIDs: [6, 20, 30])) { _, _ throws(LeafError) in },
                on: model
            ) { $0 },
        ]
    }

    private func system(_ disk: Disk, _ random: inout SeededGenerator) -> SystemCalls {
        var system = SystemCalls.real
        let dice = Mutex(SeededGenerator(seed: random.next()))
        let read = system.read
        switch disk {
        case .quiet, .paced: break
        case .slow:
            system.read = { descriptor, target, count, offset in
                usleep(dice.withLock { UInt32.random(in: 0...400, using: &$0) })
                return read(descriptor, target, count, offset)
            }
        case .short:
            system.read = { descriptor, target, count, offset in
                let (kind, share) = dice.withLock {
                    (Int.random(in: 0..<4, using: &$0), Int.random(in: 1...count, using: &$0))
                }
                return kind == 0 ? -Int(EINTR) : read(descriptor, target, kind == 1 ? share : count, offset)
            }
        case .failing:
            let left = Countdown(Int.random(in: 0..<400, using: &random))
            system.read = { descriptor, target, count, offset in
                left.take() ? read(descriptor, target, count, offset) : -Int(EIO)
            }
        }
        return system
    }

    @Test(arguments: Disk.allCases) func everyRequestEndsOnceAndAsItWould(disk: Disk) throws {
        let directory = try TemporaryDirectory()
        let file = try Fixture.tiny(in: directory)
        var options = ModelOptions(
            memory: .gibibytes(1), threads: 2, reading: .init(mode: .buffered),
            capacity: .init(context: 400, rows: 200, logitRows: 24, sequences: 6), requestLimit: 20)
        let jobs = try jobs(Model(file, options))
        // Enough to stay in part, little enough to be read in part.
        let minimum = try Model.plan(file, options).minimum
        options.memory = .bytes(minimum + file.leaf.chunks.reduce(0) { $0 + $1.rawBytes } / 3)
        if disk == .paced { options.reading.maxBytesPerSecond = 40_000_000 }

        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        var done = 0
        while done < Self.rounds {
            let model: Model
            do throws(LeafError) {
                model = try Model(file, options, system: system(disk, &random))
            } catch {
                // Resident tensors could not be read.
                #expect(disk == .failing && error.kind == .io, "seed \(seed): \(error)")
                done += 1
                continue
            }
            let runs = try simulate(model, jobs, &random)
            done += Self.roundsAModel
            for run in runs {
                let verdicts = run.verdicts.withLock { $0 }
                let wasCancelled = run.isCancelled.withLock { $0 }
                #expect(verdicts.count == 1 && !run.isLate.withLock { $0 }, "seed \(seed), \(run.job.name)")
                switch verdicts.first {
                case .same: break
                case .cancelled: #expect(wasCancelled, "seed \(seed), \(run.job.name)")
                case .failed(let error):
                    #expect(disk == .failing && error.kind == .io, "seed \(seed), \(run.job.name): \(error)")
                case .other, nil: Issue.record("another answer: seed \(seed), \(run.job.name)")
                }
            }
            try model.expectNothingIsLeft()
        }
    }

    /// Some rounds with one model, until all requests have ended.
    private func simulate(_ model: Model, _ jobs: [Job], _ random: inout SeededGenerator) throws -> [Run] {
        var runs: [Run] = []
        let ended = DispatchGroup()
        func submit(_ job: Job) {
            let run = Run(job)
            ended.enter()
            do throws(LeafError) {
                let ticket = try job.submit(model) { verdict in
                    run.take(verdict)
                    if verdict != nil { ended.leave() }
                }
                run.ticket.withLock { $0 = ticket }
                runs.append(run)
            } catch {
                #expect(error.kind == .busy)
                ended.leave()
            }
        }
        func cancel(_ run: Run) {
            run.isCancelled.withLock { $0 = true }
            run.ticket.withLock { $0 }?.cancel()
        }
        for _ in 0..<Self.roundsAModel {
            switch Int.random(in: 0..<8, using: &random) {
            case 0...2: submit(jobs[Int.random(in: 0..<jobs.count, using: &random)])
            case 3:
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    submit(jobs[Int.random(in: 0..<jobs.count, using: &random)])
                }
            case 4:
                guard let run = runs.randomElement(using: &random) else { break }
                if Bool.random(using: &random) {
                    cancel(run)
                } else {
                    run.isCancelled.withLock { $0 = true }
                    DispatchQueue.global().async { run.ticket.withLock { $0 }?.cancel() }
                }
            case 5: model.pinnedBytes = Int.random(in: 0...max(1, model.plan.pinnedBytes), using: &random)
            case 6: usleep(UInt32.random(in: 0...3000, using: &random))
            default: _ = try model.engine.perform { $0.cache.freePageCount }
            }
        }
        if Bool.random(using: &random) { for run in runs { cancel(run) } }
        ended.wait()
        return runs
    }
}
