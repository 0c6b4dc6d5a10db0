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
    @Test func manyCachedTokensAreAllocatedAsPlanned() async {
        await #expect(processExitsWith: .success) {
            try Ledger.check(Demand(context: 40_000, rows: 40))
        }
    }

    @Test func wideSweepsAreAllocatedAsPlanned() async {
        await #expect(processExitsWith: .success) {
            try Ledger.check(Demand(context: 3000, longest: 500, rows: 2500, logitRows: 700, sequences: 6))
        }
    }

    @Test func manySequencesAreAllocatedAsPlanned() async {
        await #expect(processExitsWith: .success) {
            try Ledger.check(Demand(context: 20_000, longest: 9000, rows: 900, logitRows: 900, sequences: 900))
        }
    }

    /// While they run, texts take no more of the heap than their demands say.
    @Test func textsUnderWayTakeWhatTheyDemand() async {
        await #expect(processExitsWith: .success) { try Ledger.checkTexts() }
    }
}

/// Compares plans with the allocator, and ends the process.
private enum Ledger {
    /// What a part may be off where it is small: tables of Swift's collections, closures, headers of objects.
    private static let slack = 24 << 10

    nonisolated(unsafe) private static var faults = 0

    /// - Parameter share: of the planned bytes that must be allocated, at least.
    private static func expect(_ what: String, _ allocated: Int, within planned: Int, atLeast share: Double) {
        let isRight = allocated <= planned + slack && Double(allocated) >= share * Double(planned) - Double(slack)
        print("\(what): \(allocated) bytes of \(planned)\(isRight ? "" : ", which is wrong")")
        if !isRight { faults += 1 }
    }

    private static func live() -> Int { allocation_live_bytes() }

    /// The bytes that are live after `make` and were not before, with what it made.
    private static func measure<Value>(_ make: () throws -> Value) rethrows -> (value: Value, bytes: Int) {
        let before = live()
        let value = try make()
        return (value, live() - before)
    }

    static func check(_ capacity: Demand) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
        var options = ModelOptions(memory: .gibibytes(8), threads: 3, capacity: capacity)
        options.trace = try TraceRecorder(path: directory.path("trace.json"))
        let opened = try measure { try ModelFile(path: path) }
        let file = opened.value
        // With the smallest budget all slots are used; with more, addresses are kept for slots that may come.
        options.memory = .bytes(try Model.plan(file, options).minimum)
        let plan = try Model.plan(file, options)
        expect(
            "tables and tokenizer", opened.bytes, within: plan.bytes(for: .tables) + plan.bytes(for: .tokenizer),
            atLeast: 0.5)

        let executor = ExecutorOptions(capacity: capacity, threads: 3, activations: .int16, kv: .f16)
        let ant = try CPMAntFile.open(path: path)
        let store = try measure {
            try BlockStore(file: file.leaf, plan: plan, consumers: 3)
        }
        expect(
            "slots and pinned chunks", store.bytes, within: plan.bytes(for: .slots) + plan.bytes(for: .pinned),
            atLeast: 0.9)
        let pool = try measure { try ComputePool(threadCount: 3, kernels: Kernels(.best)) }
        expect("threads", pool.bytes, within: 0, atLeast: 0)
        let model = try measure { try CPMAnt.executor(of: ant, store: store.value, pool: pool.value, executor) }
        let parts = try CPMAnt.parts(ant, executor)
        expect("executor", model.bytes, within: parts.total, atLeast: 0.9)
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
            "model", whole.bytes, within: plan.total - around.reduce(0) { $0 + plan.bytes(for: $1) }, atLeast: 0.9)
        withExtendedLifetime((file, store, pool, model, scheduler, whole)) {}
        exit(faults == 0 ? 0 : 1)
    }

    static func checkTexts() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
        let file = try ModelFile(path: path)
        func text(_ length: Int) throws -> PromptRows {
            try PromptRows(ids: (0..<length).map { [6, 20, 30][$0 % 3] }, task: 2, segment: 2, for: file.configuration)
        }
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
            let before = live()
            allocation_peak_reset()
            // Nobody takes an event before the last has come: the most that can wait.
            try model.generate([request]) { _, event in
                while !model.engine.isIdle { usleep(1000) }
                if case .finished(.failure) = event { faults += 1 }
            }
            expect(what, allocation_peak_bytes() - before, within: demand.heapBytes, atLeast: 0.1)
        }
        exit(faults == 0 ? 0 : 1)
    }
}
