import CLeafKernels
import Foundation
import LeafExecutor
import LeafFormat
import LeafSystem
import Synchronization
import Testing

@Suite("Compute pool") struct ComputePoolTests {
    @Test(arguments: [1, 2, 3, 8]) func sharesCoverEveryItemOnce(threads: Int) throws {
        let pool = try ComputePool(threadCount: threads, kernels: Kernels(.best))
        defer { pool.stop() }
        for count in [0, 1, 2, 7, 64, 1000] {
            let ranges = (0..<threads).map { pool.share(of: count, for: $0) }
            #expect(ranges.flatMap { Array($0) } == Array(0..<count))
        }
    }

    @Test(arguments: [1, 2, 5]) func everyThreadRunsTheJobOnce(threads: Int) throws {
        let pool = try ComputePool(threadCount: threads, kernels: Kernels(.best))
        defer { pool.stop() }
        let runs = Mutex(Array(repeating: 0, count: threads))
        for _ in 0..<200 {
            try pool.run { worker throws(LeafError) in runs.withLock { $0[worker] += 1 } }
        }
        #expect(runs.withLock { $0 } == Array(repeating: 200, count: threads))
    }

    @Test func anErrorOfOneThreadReachesTheCallerAndThePoolGoesOn() throws {
        let pool = try ComputePool(threadCount: 3, kernels: Kernels(.best))
        defer { pool.stop() }
        let failure = LeafError(.io, "thread two")
        #expect(throws: failure) {
            try pool.run { worker throws(LeafError) in if worker == 2 { throw failure } }
        }
        try pool.run { _ throws(LeafError) in }
    }

    /// Without a lock: the thread sanitizer sees whether a meeting is enough.
    @Test(arguments: [1, 2, 5]) func threadsSeeAfterAMeetingWhatAllDidBefore(threads: Int) throws {
        let pool = try ComputePool(threadCount: threads, kernels: Kernels(.best))
        defer { pool.stop() }
        let steps = UnsafeMutableBufferPointer<Int>.allocate(capacity: threads)
        defer { steps.deallocate() }
        for _ in 0..<50 {
            steps.initialize(repeating: 0)
            try pool.run { worker throws(LeafError) in
                for step in 1...20 {
                    steps[worker] = step
                    try pool.meet(worker)
                    guard steps.allSatisfy({ $0 == step }) else {
                        throw LeafError(.io, "a thread is not at step \(step)")
                    }
                    try pool.meet(worker)
                }
            }
        }
    }

    /// Wherever it happens, the others stop at their next meeting, and the pool goes on.
    @Test(arguments: [1, 2, 5]) func afterAnErrorNobodyPassesAMeeting(threads: Int) throws {
        let pool = try ComputePool(threadCount: threads, kernels: Kernels(.best))
        defer { pool.stop() }
        for step in 0..<6 {
            for failing in 0..<threads {
                let failure = LeafError(.io, "thread \(failing) in step \(step)")
                let passed = Mutex(Array(repeating: 0, count: threads))
                #expect(throws: failure) {
                    try pool.run { worker throws(LeafError) in
                        for now in 0..<5 {
                            if worker == failing, now == step { throw failure }
                            try pool.meet(worker)
                            passed.withLock { $0[worker] += 1 }
                        }
                        if worker == failing { throw failure }
                    }
                }
                #expect(passed.withLock { $0 } == Array(repeating: min(step, 5), count: threads))
            }
        }
        try pool.run { worker throws(LeafError) in try pool.meet(worker) }
    }

    /// Wherever starting fails, those that run end, and the caller gets a sentence.
    @Test(.timeLimit(.minutes(30)), arguments: 2...6)
    func aThreadThatCannotStartLeavesNoneBehind(failing: Int) throws {
        let running = DispatchGroup()
        let started = Mutex(1)
        var system = SystemCalls.real
        system.startThread = { body in
            let number = started.withLock { started in
                started += 1
                return started
            }
            guard number < failing else { return -EAGAIN }
            running.enter()
            return SystemCalls.real.startThread {
                body()
                running.leave()
            }
        }
        let error = #expect(throws: LeafError.self) {
            try ComputePool(threadCount: 6, kernels: Kernels(.best), system: system)
        }
        #expect(error?.kind == .io && error?.description.hasPrefix("no more threads can be started") == true)
        running.wait()
    }

    @Test func ofSeveralErrorsTheLowestThreadsIsThrown() throws {
        let pool = try ComputePool(threadCount: 4, kernels: Kernels(.best))
        defer { pool.stop() }
        for _ in 0..<100 {
            #expect(throws: LeafError(.io, "thread 1")) {
                try pool.run { worker throws(LeafError) in
                    if worker > 0 { throw LeafError(.io, "thread \(worker)") }
                    try pool.meet(worker)
                }
            }
        }
    }
}
