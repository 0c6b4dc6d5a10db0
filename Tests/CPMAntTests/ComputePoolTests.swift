import CPMAnt
import LeafFormat
import Synchronization
import Testing

@Suite("Compute pool") struct ComputePoolTests {
    @Test(arguments: [1, 2, 3, 8]) func sharesCoverEveryItemOnce(threads: Int) throws {
        let pool = try ComputePool(threadCount: threads)
        defer { pool.stop() }
        for count in [0, 1, 2, 7, 64, 1000] {
            let ranges = (0..<threads).map { pool.share(of: count, for: $0) }
            #expect(ranges.flatMap { Array($0) } == Array(0..<count))
        }
    }

    @Test(arguments: [1, 2, 5]) func everyThreadRunsTheJobOnce(threads: Int) throws {
        let pool = try ComputePool(threadCount: threads)
        defer { pool.stop() }
        let runs = Mutex(Array(repeating: 0, count: threads))
        for _ in 0..<200 {
            try pool.run { worker throws(LeafError) in runs.withLock { $0[worker] += 1 } }
        }
        #expect(runs.withLock { $0 } == Array(repeating: 200, count: threads))
    }

    @Test func anErrorOfOneThreadReachesTheCallerAndThePoolGoesOn() throws {
        let pool = try ComputePool(threadCount: 3)
        defer { pool.stop() }
        let failure = LeafError(.io, "thread two")
        #expect(throws: failure) {
            try pool.run { worker throws(LeafError) in if worker == 2 { throw failure } }
        }
        try pool.run { _ throws(LeafError) in }
    }
}
