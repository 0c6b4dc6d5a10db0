import CAllocationCounter
import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import Leafcutter
import Testing

/// Counted in a process of their own, over all its threads: compute threads and readers too. Each with all weights in
/// memory, and with the smallest budget.
@Suite(
    "Allocations",
    .enabled(if: allocation_counter_works() == 1, "this allocator cannot be counted"))
struct AllocationTests {
    @Test func stepsAllocateNothing() async {
        await #expect(processExitsWith: .success) {
            try Counts.exit { model, configuration throws(LeafError) in
                try Counts.steps(of: 1, model, configuration).allocations == 0
            }
        }
    }

    @Test func stepsOfEightTextsAllocateNothing() async {
        await #expect(processExitsWith: .success) {
            try Counts.exit { model, configuration throws(LeafError) in
                try Counts.steps(of: 8, model, configuration).allocations == 0
            }
        }
    }

    @Test func aPromptAllocatesNothingOnceOneOfItsLengthWasRead() async {
        await #expect(processExitsWith: .success) {
            try Counts.exit { model, configuration throws(LeafError) in
                try Counts.prompts(model, configuration).allocations == 0
            }
        }
    }

    /// Keys and values of the shared past are not copied on the heap, nor when a copy goes its own way.
    @Test func aForkAllocatesALittleMoreThanItsListOfPages() async {
        await #expect(processExitsWith: .success) {
            try Counts.exit { model, configuration throws(LeafError) in
                let (fork, step) = try Counts.forks(model, configuration)
                let pageNumbers = 4 * Demand.pages(holding: model.capacity.longest)
                return fork.allocations <= 8 && fork.bytes <= pageNumbers + 1024 && step.allocations == 0
            }
        }
    }
}

/// What parts of a generation allocate at least, in three rounds: what allocates does so in each; a reader whose thread
/// the system starts late, in one.
private enum Counts {
    /// Ends the process with success if `isRight` finds so on both models.
    static func exit(_ isRight: @Sendable (Executor, ModelConfiguration) throws(LeafError) -> Bool) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
        let file = try ModelFile(path: path)
        var options = ModelOptions(
            memory: .gibibytes(1), threads: 2, capacity: .init(context: 2000, logitRows: 8, sequences: 8))
        let resident = try Model(file, options)
        options.memory = .bytes(try Model.plan(file, options).minimum)
        let streamed = try Model(file, options)
        for model in [resident, streamed] {
            let configuration = model.file.configuration
            guard try model.engine.perform({ model throws(LeafError) in try isRight(model, configuration) }) else {
                Foundation.exit(1)
            }
        }
        Foundation.exit(0)
    }

    private static func least(
        _ what: String, _ round: (Int) throws(LeafError) -> allocation_count
    ) throws(LeafError) -> allocation_count {
        var least = allocation_count(allocations: .max, bytes: .max)
        for number in 0..<3 {
            let count = try round(number)
            least.allocations = min(least.allocations, count.allocations)
            least.bytes = min(least.bytes, count.bytes)
        }
        print("\(what): \(least.allocations) allocations, \(least.bytes) bytes")
        return least
    }

    private static func counting(_ body: () throws(LeafError) -> Void) throws(LeafError) -> allocation_count {
        allocation_counter_begin()
        try body()
        return allocation_counter_end()
    }

    private static func forward(_ batch: RowBatch, _ model: Executor) throws(LeafError) {
        try model.forward(batch) { _, _ throws(LeafError) in }
    }

    private static func prompt(
        _ count: Int, _ configuration: ModelConfiguration
    ) throws(LeafError) -> PromptRows {
        try PromptRows(
            ids: (0..<count).map { [6, 20, 30][$0 % 3] }, task: 2, segment: 2, for: configuration)
    }

    /// 40 steps of some texts, which begin two or three pages of the cache each, after their prompts and a first step.
    static func steps(
        of texts: Int, _ model: Executor, _ configuration: ModelConfiguration
    ) throws(LeafError) -> allocation_count {
        let prompt = try prompt(3, configuration)
        let sequences = (0..<texts).map { _ in model.cache.makeSequence() }
        for sequence in sequences {
            try forward(RowBatch(rows: prompt.rows(of: sequence, in: configuration) { _ in false }), model)
        }
        var batch = RowBatch(rows: sequences.map { prompt.row(of: $0, generated: 40, step: 0, in: configuration) })
        return try least("40 steps of \(texts)") { (round) throws(LeafError) in
            func step(_ number: Int) throws(LeafError) {
                for (row, sequence) in sequences.enumerated() {
                    batch.rows[row] = prompt.row(of: sequence, generated: 40, step: number, in: configuration)
                }
                try forward(batch, model)
            }
            try step(round * 41)
            return try counting { () throws(LeafError) in
                for number in 1...40 { try step(round * 41 + number) }
            }
        }
    }

    /// A prompt of 100 tokens for a sequence that is there.
    static func prompts(
        _ model: Executor, _ configuration: ModelConfiguration
    ) throws(LeafError) -> allocation_count {
        let prompt = try prompt(100, configuration)
        return try least("a prompt of 100") { (_) throws(LeafError) in
            let sequence = model.cache.makeSequence()
            defer { model.cache.remove(sequence) }
            let batch = RowBatch(rows: prompt.rows(of: sequence, in: configuration) { $0 == 99 })
            return try counting { () throws(LeafError) in try forward(batch, model) }
        }
    }

    /// A fork of a sequence of 100 tokens, and its first step, which copies the page that both end in.
    static func forks(
        _ model: Executor, _ configuration: ModelConfiguration
    ) throws(LeafError) -> (fork: allocation_count, step: allocation_count) {
        let prompt = try prompt(100, configuration)
        let sequence = model.cache.makeSequence()
        try forward(RowBatch(rows: prompt.rows(of: sequence, in: configuration) { _ in false }), model)
        var batch = RowBatch(rows: [prompt.row(of: sequence, generated: 40, step: 0, in: configuration)])
        var forks: [SequenceID] = []
        forks.reserveCapacity(3)
        let fork = try least("a fork") { (_) throws(LeafError) in
            try counting { () throws(LeafError) in forks.append(model.cache.fork(sequence)) }
        }
        let step = try least("a step after a fork") { (round) throws(LeafError) in
            batch.rows[0] = prompt.row(of: forks[round], generated: 40, step: 0, in: configuration)
            return try counting { () throws(LeafError) in try forward(batch, model) }
        }
        return (fork, step)
    }
}
