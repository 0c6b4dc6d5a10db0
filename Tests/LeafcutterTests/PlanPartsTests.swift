import CAllocationCounter
import CPMAnt
import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import LeafTokenizer
import Leafcutter
import Testing

/// Every part of the plan against what is really allocated for it, in a process of its own: no less is planned, and not
/// much more.
@Suite("Plan by parts", .enabled(if: allocation_counter_works() == 1, "this allocator cannot be counted"))
struct PlanPartsTests {
    @Test(arguments: Case.allCases) func isAllocatedAsPlanned(_ what: Case) async {
        await MeasuringProcess.expectNoFaults {
            await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) { [what = what as Case] in
                MeasuringProcess.end { try what.faults() }
            }
        }
    }

    enum Case: String, CaseIterable, Codable {
        case manyCachedTokens, wideSweeps, manySequences, floatWeights, adaptersAndSoftPrompts
        case tokenizer, textsUnderWay, otherRequests, sessions

        fileprivate func faults() throws -> [String] {
            switch self {
            case .manyCachedTokens: try Ledger.check(Demand(context: 40_000, rows: 40))
            case .wideSweeps:
                try Ledger.check(Demand(context: 3000, longest: 500, rows: 2500, logitRows: 700, sequences: 6))
            case .manySequences:
                try Ledger.check(
                    Demand(context: 20_000, longest: 9000, rows: 900, logitRows: 900, sequences: 900))
            case .floatWeights:
                try Ledger.check(Demand(context: 3000, rows: 200, logitRows: 50, sequences: 3), weights: .float16)
            case .adaptersAndSoftPrompts: try Ledger.check(Demand(context: 20_000, rows: 300), tunes: true)
            case .tokenizer: try Ledger.checkTokenizer()
            case .textsUnderWay: try Ledger.checkTexts()
            case .otherRequests: try Ledger.checkOtherRequests()
            case .sessions: try Ledger.checkSessions()
            }
            return Ledger.faults
        }
    }
}

/// Compares plans with the allocator, and notes what is wrong.
private enum Ledger {
    /// What a part may be off where it is small: tables of Swift's collections, closures, headers of objects.
    private static let slack = 24 << 10

    nonisolated(unsafe) static private(set) var faults: [String] = []

    /// - Parameter share: of the planned bytes that must be allocated, at least.
    private static func expect(_ what: String, _ allocated: Int, within planned: Int, atLeast share: Double) {
        expect(what, within: planned, atLeast: share, rounds: 1) { allocated }
    }

    /// - Parameter rounds: one that is right is enough.
    private static func expect(
        _ what: String, within planned: Int, atLeast share: Double, rounds: Int = 3, _ round: () throws -> Int
    ) rethrows {
        var allocated = 0
        for _ in 0..<rounds {
            allocated = try round()
            if allocated <= planned + slack && Double(allocated) >= share * Double(planned) - Double(slack) { return }
        }
        faults.append("\(what): \(allocated) bytes of \(planned) that are planned")
    }

    private static func live() -> Int { allocation_live_bytes() }

    /// The bytes that are live after `make` and were not before, with what it made.
    private static func measure<Value>(_ make: () throws -> Value) rethrows -> (value: Value, bytes: Int) {
        let before = live()
        let value = try make()
        return (value, live() - before)
    }

    /// Compares what one part takes while it is there.
    private static func weigh<Value>(
        _ what: String, within planned: Int, atLeast share: Double, _ make: () throws -> Value
    ) rethrows {
        let made = try measure(make)
        expect(what, made.bytes, within: planned, atLeast: share)
        withExtendedLifetime(made) {}
    }

    /// Each part of an executor alone.
    private static func weighParts(_ ant: CPMAntFile, _ store: BlockStore, _ options: ExecutorOptions) throws {
        let (file, facts, capacity) = (ant.leaf, ant.facts, options.capacity)
        let wanted = try ant.wantedTensors()
        try weigh(
            "resident tensors", within: ResidentTensors.byteCount(wanted).roundedUp(to: 4096), atLeast: 0.9
        ) { try ResidentTensors(file, wanted, store: store) }
        try weigh(
            "cache with all its sequences",
            within: KVCache.byteCount(facts.attentions, options.kv, capacity).roundedUp(to: 4096), atLeast: 0.9
        ) { () throws -> KVCache in
            let cache = try KVCache(facts.attentions, options.kv, capacity)
            for _ in 0..<capacity.sequences { _ = cache.makeSequence() }
            return cache
        }
        try weigh(
            "buffers of rows", within: Scratch.Sizes(file, facts, options).total.roundedUp(to: 4096), atLeast: 0.99
        ) { try Scratch(file, facts, options) }
    }

    /// - Parameter tunes: whether an adapter and a soft prompt are beside the model.
    static func check(_ capacity: Demand, weights: WeightFormat = .int8, tunes: Bool = false) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: weights, to: path)
        var options = ModelOptions(memory: .gibibytes(8), threads: 3, capacity: capacity)
        options.trace = try TraceRecorder(path: directory.path("trace.json"))
        let opened = try measure { () throws -> ModelFile in
            var file = try ModelFile(path: path)
            if tunes {
                try file.addAdapter(path: Golden.root.appending(path: "tuning/finetuned").path)
                try file.addSoftPrompt(path: Golden.root.appending(path: "tuning/prompts.pt").path)
            }
            return file
        }
        let file = opened.value
        // With the smallest budget all slots are used; with more, addresses are kept for slots that may come.
        options.memory = .bytes(try Model.plan(file, options).minimum)
        let plan = try Model.plan(file, options)
        expect(
            "tables and tokenizer", opened.bytes, within: plan.bytes(for: .tables) + plan.bytes(for: .tokenizer),
            // What the tables of adapters may need while they are read stays counted.
            atLeast: tunes ? 0 : 0.5)

        let executor = ExecutorOptions(
            capacity: capacity, threads: 3, activations: .int16, kv: weights == .int8 ? .f16 : .f32,
            tuning: file.tuning(.best))
        // OpenBLAS takes what is planned for it when it multiplies.
        let share = weights == .int8 ? 0.9 : 0
        let ant = try CPMAntFile.open(path: path)
        let store = try measure {
            try BlockStore(file: file.leaf, plan: plan, consumers: 3)
        }
        expect(
            "slots and pinned chunks", store.bytes, within: plan.bytes(for: .slots) + plan.bytes(for: .pinned),
            atLeast: 0.9)
        try weighParts(ant, store.value, executor)
        let pool = try measure { try ComputePool(threadCount: 3, kernels: Kernels(.best)) }
        expect("threads", pool.bytes, within: 0, atLeast: 0)
        let model = try measure { try CPMAnt.executor(of: ant, store: store.value, pool: pool.value, executor) }
        let parts = try CPMAnt.parts(ant, executor)
        expect("executor", model.bytes, within: parts.total, atLeast: share)
        let scheduler = try measure {
            try Scheduler(
                model: model.value, queue: SerialThread(system: .real),
                interest: SweepInterest(interrupt: {}, resume: {}))
        }
        expect(
            "scheduler", scheduler.bytes,
            within: Scheduler.byteCount(capacity) + SamplingWorkspace.byteCount(file.configuration), atLeast: 0.9)
        pool.value.stop()

        let whole = try measure { try Model(file, options) }
        let around: [MemoryPlan.Purpose] = [.runtime, .tables, .tokenizer, .trace, .requests]
        expect(
            "model", whole.bytes, within: plan.total - around.reduce(0) { $0 + plan.bytes(for: $1) }, atLeast: share)
        withExtendedLifetime((file, store, pool, model, scheduler, whole)) {}
    }

    static func checkTokenizer() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert(Golden.demoModel, weights: .int8, to: path)
        let ant = try measure { try CPMAntFile.open(path: path) }
        let file = try measure { try ModelFile(path: path) }
        let options = ModelOptions(memory: .gibibytes(8), threads: 1, capacity: Demand(context: 16))
        let plan = try Model.plan(file.value, options)
        expect("tables", ant.bytes, within: plan.bytes(for: .tables), atLeast: 0.3)
        expect("tokenizer", file.bytes - ant.bytes, within: plan.bytes(for: .tokenizer), atLeast: 0.5)
        withExtendedLifetime((ant, file)) {}
    }

    private static func text(_ length: Int, for file: ModelFile) throws -> PromptRows {
        try PromptRows(ids: (0..<length).map { [6, 20, 30][$0 % 3] }, task: 2, segment: 2, for: file.configuration)
    }

    /// Compares what a request takes at its most with its demand, and what a session takes beside it with the plan.
    private static func ask<Request: ModelRequest>(
        _ what: String, _ request: Request, _ file: ModelFile, keepsSessions: Bool = false, atLeast share: Double
    ) throws {
        let demand = request.demand(in: file.configuration)
        let model = try Model(
            file,
            ModelOptions(
                memory: .gibibytes(8), threads: 2, capacity: Demand(together: [demand]), keepsSessions: keepsSessions))
        try expect(what, within: demand.heapBytes + model.plan.bytes(for: .sessions), atLeast: share) {
            let before = live()
            allocation_peak_reset()
            try model.answer([request]) { _, outcome in
                if case .failure(let error) = outcome { faults.append("\(what): \(error)") }
            }
            return allocation_peak_bytes() - before
        }
    }

    private static func smallModel(in directory: TemporaryDirectory) throws -> ModelFile {
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
        return try ModelFile(path: path)
    }

    static func checkOtherRequests() throws {
        let directory = try TemporaryDirectory()
        let file = try smallModel(in: directory)
        let ids = (0..<3000).map { Int32(20 + $0 % 200) }
        try ask("a score", ScoreRequest(context: text(10, for: file), target: ids), file, atLeast: 0.3)
        try ask("a score after much", ScoreRequest(context: text(3000, for: file), target: [9]), file, atLeast: 0.3)
        for pooling in Pooling.allCases {
            let request = EmbeddingRequest(text: try text(3000, for: file), pooling: pooling)
            try ask("the vectors by \(pooling)", request, file, atLeast: 0.3)
        }
        let blanks = [FillRequest.Blank(position: 50, length: 90), FillRequest.Blank(position: 900, length: 40)]
        let fill = FillRequest(context: try text(1000, for: file), blanks: blanks)
        try ask("blanks", fill, file, atLeast: 0.2)
    }

    static func checkSessions() throws {
        let directory = try TemporaryDirectory()
        let file = try smallModel(in: directory)
        let session = try Session(path: directory.path("a.session"), interval: 100)
        for tokens in [300, 600] {
            let options = GenerationOptions(decoding: .greedy, maxTokens: tokens, logitBias: [7: -1000])
            let request = GenerationRequest(
                prompt: try text(500, for: file), options: options, samples: 1, session: session)
            try ask("\(tokens) tokens of a session", request, file, keepsSessions: true, atLeast: 0.2)
            if let failure = session.failure { faults.append("\(failure)") }
        }
        // A file of another text, which is far longer: no more is kept of it than tells so.
        let output = try OutputFile(path: session.path)
        try output.truncate(to: 0)
        let writer = try SessionWriter(output)
        try writer.append(UInt32(1))
        try writer.append("stop")
        try writer.append(String(repeating: "x", count: 1 << 20))
        try writer.append([Int32](repeating: 6, count: 1 << 20))
        try writer.append(UInt64(1))
        try writer.append(UInt32(1))
        try writer.finish()
        let request = GenerationRequest(
            prompt: try text(500, for: file), options: GenerationOptions(), samples: 1, session: session)
        let before = live()
        allocation_peak_reset()
        if (try? request.resumed(from: [])) != nil { faults.append("a session of another text goes on") }
        expect(
            "comparing with another text", allocation_peak_bytes() - before,
            within: SessionWriter.bufferBytes + SessionHead.comparedBytes(promptIDs: 500), atLeast: 0.5)
        withExtendedLifetime((directory, writer)) {}
    }

    static func checkTexts() throws {
        let directory = try TemporaryDirectory()
        let file = try smallModel(in: directory)
        func text(_ length: Int) throws -> PromptRows { try Self.text(length, for: file) }
        var greedy = GenerationOptions()
        (greedy.decoding, greedy.maxTokens, greedy.logitBias) = (.greedy, 2000, [7: -1000])
        var beams = greedy
        (beams.decoding, beams.maxTokens) = (.beams(4), 400)
        var logprobs = greedy
        (logprobs.logprobs, logprobs.maxTokens) = (20, 1000)
        let requests = [
            ("one text", GenerationRequest(prompt: try text(1000), options: greedy, samples: 1)),
            ("eight samples", GenerationRequest(prompt: try text(100), options: greedy, samples: 8)),
            ("beams", GenerationRequest(prompt: try text(500), options: beams, samples: 1)),
            ("log-probabilities", GenerationRequest(prompt: try text(10), options: logprobs, samples: 1)),
        ]
        for (what, request) in requests {
            let demand = request.demand(in: file.configuration)
            let model = try Model(
                file, ModelOptions(memory: .gibibytes(8), threads: 2, capacity: Demand(together: [demand])))
            try expect(what, within: demand.heapBytes, atLeast: 0.1) {
                let before = live()
                allocation_peak_reset()
                // Nobody takes an event before the last has come: the most that can wait.
                try model.generate([request]) { _, event in
                    while !model.engine.isIdle { usleep(1000) }
                    if case .finished(.failure(let error)) = event { faults.append("\(what): \(error)") }
                }
                return allocation_peak_bytes() - before
            }
        }
    }
}
