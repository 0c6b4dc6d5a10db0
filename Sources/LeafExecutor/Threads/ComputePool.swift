import Glibc
package import LeafSystem
import Synchronization

/// A fixed set of threads that run one job at a time. The calling thread is one of them.
///
/// Every thread runs the whole job, does its share of each step, and meets the others where a step needs the results of
/// all. Idle threads sleep. Nothing is allocated. Work is divided by outputs (`share(of:for:)`), never along a sum, so
/// results do not depend on the number of threads.
package final class ComputePool: @unchecked Sendable {
    /// The code that every thread runs, with the thread's number.
    package typealias Job = (_ worker: Int) throws(LeafError) -> Void

    /// The number of threads that run a job, with the calling one.
    package let threadCount: Int
    /// What the jobs compute with.
    package let kernels: Kernels

    private let barrier: Barrier
    // The caller writes it while the others wait at the barrier.
    private var job: Job?
    /// The error of the lowest-numbered thread that failed.
    private let failure = Mutex<(worker: Int, error: LeafError)?>(nil)
    /// For each thread, whether it has met the others since one failed, and stops.
    private let isStopped: UnsafeMutablePointer<Bool>

    /// - Throws: `.usage` for a number of threads that makes no sense; `.io` when the system starts no more threads,
    ///   and none is left behind then.
    package init(threadCount: Int, kernels: Kernels, system: SystemCalls = .real) throws(LeafError) {
        try Machine.check(threads: threadCount)
        self.threadCount = threadCount
        self.kernels = kernels
        barrier = Barrier(threadCount: threadCount)
        isStopped = .allocate(capacity: threadCount)
        isStopped.initialize(repeating: false, count: threadCount)
        for worker in 1..<threadCount {
            let status = system.startThread { [self] in work(as: worker) }
            guard status == 0 else {
                // The caller stands for those that were not started.
                stop(seats: threadCount - worker + 1)
                throw .noThread(-status)
            }
        }
    }

    deinit { isStopped.deallocate() }

    /// Ends the worker threads. Do not use the pool afterwards.
    ///
    /// The threads keep the pool alive, so its owner must call this; a `deinit` could not.
    package func stop() { stop(seats: 1) }

    private func stop(seats: Int) {
        job = nil
        barrier.wait(for: seats)
        barrier.wait(for: seats)
    }

    /// Runs the job on every thread and waits for all of them.
    /// - Throws: the error of the lowest-numbered thread that threw.
    package func run(_ job: @escaping Job) throws(LeafError) {
        self.job = job
        barrier.wait()
        perform(job, as: 0)
        let failed = failure.withLock { state in
            defer { state = nil }
            return state
        }
        if let failed { throw failed.error }
    }

    /// Waits, inside a job, until all threads are here. Everything that one of them wrote before is visible to all
    /// afterwards.
    /// - Throws: if one of them failed before it came here. The job must end then.
    package func meet(_ worker: Int) throws(LeafError) {
        guard barrier.wait(), let failed = failure.withLock({ $0 }) else { return }
        isStopped[worker] = true
        throw failed.error
    }

    /// Runs the job. All threads leave at the same meeting: the last one of the job, or the first one after a failure.
    private func perform(_ job: Job, as worker: Int) {
        do throws(LeafError) {
            try job(worker)
            try meet(worker)
        } catch {
            if !isStopped[worker] {
                failure.withLock { failed in
                    if failed.map({ worker < $0.worker }) ?? true { failed = (worker, error) }
                }
                barrier.wait(afterFailure: true)
            }
            isStopped[worker] = false
            // A second meeting: `run` clears `failure` only after every thread has read it.
            barrier.wait()
        }
    }

    /// The part of `count` items for thread `worker`: contiguous, and every item belongs to one thread.
    package func share(of count: Int, for worker: Int) -> Range<Int> {
        count * worker / threadCount..<count * (worker + 1) / threadCount
    }

    private func work(as worker: Int) {
        while true {
            barrier.wait()
            guard let job else { break }
            perform(job, as: worker)
        }
        barrier.wait()
    }
}
