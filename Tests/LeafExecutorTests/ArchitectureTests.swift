import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// What an executor of some blocks needs, opened together.
private struct Opened {
    let executor: Executor
    let pool: ComputePool

    init(_ file: LeafFile, blocks: Range<Int> = RotaryModel.sweptBlocks, threads: Int = 2) throws {
        let chunks =
            file.blocks[blocks.lowerBound].chunks.lowerBound..<file.blocks[blocks.upperBound - 1].chunks.upperBound
        // Two slots and nothing pinned, so that every chunk is streamed.
        let plan = try MemoryPlan(
            budget: 1 << 20, chunks: Array(file.chunks[chunks]),
            reserved: [])
        let store = try BlockStore(file: file, chunks: chunks, plan: plan, consumers: threads)
        let residents = try ResidentTensors(file, RotaryModel.wanted(in: file), store: store)
        pool = try ComputePool(threadCount: threads, kernels: Kernels(.best))
        executor = try Executor(
            RotaryModel(file, residents), file: file, residents: residents, store: store, pool: pool,
            ExecutorOptions(
                capacity: Demand(context: 64, rows: 32, logitRows: 32), threads: threads, activations: .int16,
                kv: .f32, blocks: blocks))
    }
}

/// The seam that a model family fills carries more than CPM-Ant.
@Suite("architecture") struct ArchitectureTests {
    /// Sums in two orders, over three layers.
    private static let tolerance: Float = 2e-4
    private static let ids = [3, 17, 0, 39, 8, 8, 21, 30, 5, 12, 33, 1, 2, 28, 19, 4, 7, 9, 11, 36]

    private func rows(_ ids: some Collection<Int>, from first: Int, _ sequence: SequenceID) -> [RowBatch.Row] {
        ids.enumerated().map {
            RowBatch.Row(
                input: .token(Int32($1)), sequence: sequence, index: Int32(first + $0), segment: 0, isContext: false,
                wantsLogits: true)
        }
    }

    private func expectClose(_ found: [[Float]], _ expected: [[Float]]) {
        #expect(found.count == expected.count)
        for (a, b) in zip(found, expected) {
            let difference = zip(a, b).map { ($0 - $1).magnitude }.max() ?? .infinity
            #expect(a.count == b.count && difference < Self.tolerance, "\(difference)")
        }
    }

    @Test func rotaryGroupedCausalModelEqualsAPlainComputation() throws {
        let directory = try TemporaryDirectory()
        let opened = try Opened(RotaryModel.write(to: directory.path("rotary.leaf")))
        defer { opened.pool.stop() }
        let expected = RotaryModel.plainLogits(Self.ids)
        let executor = opened.executor
        // The whole text at once, and a prompt followed by one token a sweep.
        for prompt in [Self.ids.count, 7] {
            let sequence = executor.cache.makeSequence()
            var found: [[Float]] = []
            var next = 0
            while next < Self.ids.count {
                let end = next == 0 ? prompt : next + 1
                try executor.forward(RowBatch(rows: rows(Self.ids[next..<end], from: next, sequence))) {
                    _, logits throws(LeafError) in found.append(Array(logits))
                }
                next = end
            }
            expectClose(found, expected)
            executor.cache.remove(sequence)
        }
    }

    @Test func executorsOfSomeBlocksHandTheirHiddenStatesOn() throws {
        let directory = try TemporaryDirectory()
        let file = try RotaryModel.write(to: directory.path("rotary.leaf"))
        let whole = try Opened(file)
        let first = try Opened(file, blocks: 0..<3)
        let second = try Opened(file, blocks: 3..<RotaryModel.sweptBlocks.upperBound)
        defer { for opened in [whole, first, second] { opened.pool.stop() } }
        var expected: [[UInt32]] = []
        var found: [[UInt32]] = []
        let sequences = [whole, first, second].map { $0.executor.cache.makeSequence() }
        var next = 0
        for count in [9, 1, 1, 4] {
            let ids = Self.ids[next..<next + count]
            try whole.executor.forward(RowBatch(rows: rows(ids, from: next, sequences[0]))) {
                _, logits throws(LeafError) in expected.append(logits.map(\.bitPattern))
            }
            try first.executor.forward(RowBatch(rows: rows(ids, from: next, sequences[1]))) { _, _ in
                Issue.record("an executor without the last block has no logits")
            }
            let states = (0..<count).flatMap { Array(first.executor.hiddenState(ofRow: $0)) }
            try states.withUnsafeBufferPointer { states in
                try second.executor.forward(
                    RowBatch(rows: rows(ids, from: next, sequences[2])), given: states
                ) { _, logits throws(LeafError) in found.append(logits.map(\.bitPattern)) }
            }
            next += count
        }
        #expect(found == expected && found.count == next)
    }

    /// A sweep that turns around asks for the same chunks the other way, and computes the same with each.
    @Test(arguments: [1, 2]) func aSweepBackComputesTheSameProducts(threads: Int) throws {
        let directory = try TemporaryDirectory()
        let file = try RotaryModel.write(to: directory.path("rotary.leaf"))
        let plan = try MemoryPlan(
            budget: 1 << 20, chunks: file.chunks,
            reserved: [])
        let store = try BlockStore(file: file, plan: plan, order: [.forward, .backward], consumers: threads)
        let residents = try ResidentTensors(file, RotaryModel.wanted(in: file), store: store)
        let model = ProductsModel(file, RotaryModel(file, residents).facts)
        let pool = try ComputePool(threadCount: threads, kernels: Kernels(.best))
        defer { pool.stop() }
        let executor = try Executor(
            model, file: file, residents: residents, store: store, pool: pool,
            ExecutorOptions(
                capacity: Demand(context: 16, rows: 1), threads: threads, activations: .int16, kv: .f32))
        let sequence = executor.cache.makeSequence()
        var sums: [[Double]] = []
        for direction in [SweepDirection.forward, .backward, .forward, .backward] {
            model.begin(direction)
            var row = rows([5], from: 0, sequence)
            row[0].wantsLogits = false
            try executor.forward(RowBatch(rows: row), direction: direction) { _, _ in }
            sums.append(model.sums)
        }
        #expect(sums[0].allSatisfy { $0 != 0 } && sums[0].count == file.matrices.count)
        #expect(sums.allSatisfy { $0 == sums[0] })
        #expect(store.counters.sweeps == 4)
    }
}

/// Multiplies a row of ones with every matrix, in the order of the sweep, and keeps the sums of the outputs.
private final class ProductsModel: Architecture, @unchecked Sendable {
    let facts: ModelFacts
    private final class Sum { var value = 0.0 }
    private let file: LeafFile
    private let outputs: [Sum]
    private var direction = SweepDirection.forward

    init(_ file: LeafFile, _ facts: ModelFacts) {
        self.file = file
        self.facts = facts
        outputs = file.matrices.map { _ in Sum() }
    }

    var sums: [Double] { outputs.map(\.value) }

    func begin(_ direction: SweepDirection) {
        self.direction = direction
        for output in outputs { output.value = 0 }
    }

    func check(_ row: RowBatch.Row) throws(LeafError) {}
    func embed(
        _ input: RowBatch.Row.Input, segment: Int32?, into hiddenState: UnsafeMutablePointer<Float>,
        _ executor: Executor
    ) throws(LeafError) {}
    func look(
        from query: KVCache.Position, at keys: UnsafePointer<KVCache.Position>, biasRows: UnsafeMutablePointer<UInt16>
    ) {}

    func run(block: Int, _ t: SweepThread) throws(LeafError) {
        let all = Array(file.blocks[block].matrices)
        for matrix in direction == .forward ? all : all.reversed() {
            try t.prepare(rows: 1, for: matrix..<matrix + 1) { _, input in
                input.update(repeating: 1, count: t.columns(of: matrix..<matrix + 1))
            }
            let target = t.buffers.gate
            try t.linear(rows: 1, matrix..<matrix + 1) { target.columns(from: $0.outputs.lowerBound) }
            for _ in t.share(of: 1) {
                outputs[matrix].value = (0..<file.matrices[matrix].outputs).reduce(0) { $0 + Double(target[0][$1]) }
            }
            try t.meet()
        }
    }
}
