import CAllocationCounter
import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import Leafcutter
import Testing

/// Counted in a process of their own, over all its threads: compute threads and readers too.
@Suite("Allocations") struct AllocationTests {
    @Test(.enabled(if: allocation_counter_works() == 1, "this allocator cannot be counted"))
    func stepsAllocateNothing() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let path = directory.path("model.leaf")
            try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
            let file = try ModelFile(path: path)
            var options = ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 200))
            let resident = try allocations(of: Model(file, options))
            options.memory = .bytes(try Model.plan(file, options).minimum)
            let streamed = try allocations(of: Model(file, options))
            print("allocations of 40 steps: \(resident) resident, \(streamed) streamed")
            exit(resident == 0 && streamed == 0 ? 0 : 1)
        }
    }
}

/// What 40 decode steps, which begin two or three pages of the cache, allocate at least, after a prompt and a first step.
private func allocations(of model: Model) throws -> Int {
    let configuration = model.file.configuration
    return try model.engine.perform { model throws(LeafError) in
        let sequence = model.cache.makeSequence()
        let prompt = try PromptRows(ids: [6, 20, 30], task: 2, segment: 2, for: configuration)
        var batch = RowBatch(rows: prompt.rows(of: sequence, in: configuration) { _ in false })
        try model.forward(batch) { _, _ throws(LeafError) in }
        batch.rows.removeSubrange(1...)
        // A step that allocates does so in every round; a reader whose thread the system starts late, in one.
        var least = Int.max
        for round in 0..<3 {
            for step in 0...40 {
                if step == 1 { allocation_counter_begin() }
                batch.rows[0] = prompt.row(of: sequence, generated: 40, step: round * 41 + step, in: configuration)
                try model.forward(batch) { _, _ throws(LeafError) in }
            }
            least = min(least, Int(allocation_counter_end()))
        }
        return least
    }
}
