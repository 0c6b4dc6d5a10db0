import Glibc
public import LeafFormat
import Synchronization

/// A fixed set of threads that run one job at a time, the caller among them.
///
/// Every thread runs the whole job; it does its share of each step and meets the others where a step needs what all
/// have done. Idle threads sleep. Nothing is allocated. Work is divided by output rows (`share(of:for:)`), never along a
/// sum, so results do not depend on the number of threads.
public final class ComputePool: @unchecked Sendable {
    /// What every thread runs, with its number.
    public typealias Job = (_ worker: Int) throws(LeafError) -> Void

    /// Threads that run a job, the calling one included.
    public let threadCount: Int
    /// What the jobs multiply with: every thread is set up for its products.
    package let kernels: Kernels

    private let barrier: Barrier
    // Written by the caller while the others wait at the barrier.
    private var job: Job?
    /// Of the lowest-numbered thread that failed.
    private let failure = Mutex<(worker: Int, error: LeafError)?>(nil)
    /// By thread: it has met the others since one failed, and stops.
    private let isStopped: UnsafeMutablePointer<Bool>

    /// - Throws: `.io` when the system starts no more threads; none is left behind then.
    public convenience init(threadCount: Int, instructionSet: InstructionSet = .best) throws(LeafError) {
        try self.init(threadCount: threadCount, kernels: Kernels(instructionSet))
    }

    /// - Parameter startThread: runs a closure on a thread of its own; false if there can be none.
    package init(
        threadCount: Int, kernels: Kernels = Kernels(.best),
        startThread: (_ body: @escaping @Sendable () -> Void) -> Bool = ComputePool.startThread
    ) throws(LeafError) {
        precondition(threadCount > 0)
        try kernels.permit()
        self.threadCount = threadCount
        self.kernels = kernels
        barrier = Barrier(threadCount: threadCount)
        isStopped = .allocate(capacity: threadCount)
        isStopped.initialize(repeating: false, count: threadCount)
        for worker in 1..<threadCount {
            guard startThread({ [self] in work(as: worker) }) else {
                // The caller stands for those that were not started.
                stop(seats: threadCount - worker + 1)
                throw LeafError(
                    .io, "cannot start compute thread \(worker + 1) of \(threadCount); use fewer threads")
            }
        }
    }

    deinit { isStopped.deallocate() }

    /// Ends the worker threads. The pool must not be used afterwards.
    ///
    /// The threads keep the pool alive, so this is the owner's duty and not a `deinit`'s.
    public func stop() { stop(seats: 1) }

    private func stop(seats: Int) {
        job = nil
        barrier.wait(for: seats)
        barrier.wait(for: seats)
    }

    /// Runs the job on every thread and waits for all.
    /// - Throws: the error of the lowest-numbered thread that threw.
    public func run(_ job: @escaping Job) throws(LeafError) {
        self.job = job
        barrier.wait()
        // The calling thread is not the pool's own: it may have a set-up of its own before and after.
        kernels.beginThread()
        perform(job, as: 0)
        kernels.endThread()
        let failed = failure.withLock { state in
            defer { state = nil }
            return state
        }
        if let failed { throw failed.error }
    }

    /// Inside a job: waits until all threads are here. What each wrote before, all see afterwards.
    /// - Throws: when one of them failed before it came here; the job must end then.
    public func meet(_ worker: Int) throws(LeafError) {
        guard barrier.wait(), let failed = failure.withLock({ $0 }) else { return }
        isStopped[worker] = true
        throw failed.error
    }

    /// All threads leave at the same meeting: the job's last one, or the first after somebody failed.
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
            // Until all have seen it the caller must not forget it.
            barrier.wait()
        }
    }

    /// The part of `count` items that thread `worker` does: contiguous, and all of them together once.
    public func share(of count: Int, for worker: Int) -> Range<Int> {
        count * worker / threadCount..<count * (worker + 1) / threadCount
    }

    private func work(as worker: Int) {
        kernels.beginThread()
        while true {
            barrier.wait()
            guard let job else { break }
            perform(job, as: worker)
        }
        kernels.endThread()
        barrier.wait()
    }

    /// A new detached thread with a stack of 1 MiB.
    package static func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
        let raw = Unmanaged.passRetained(Work(body)).toOpaque()
        var thread: pthread_t = 0
        let status = withUnsafeTemporaryAllocation(of: pthread_attr_t.self, capacity: 1) { attributes in
            guard let attributes = attributes.baseAddress else { return ENOMEM }
            pthread_attr_init(attributes)
            defer { pthread_attr_destroy(attributes) }
            pthread_attr_setstacksize(attributes, 1 << 20)
            pthread_attr_setdetachstate(attributes, Int32(PTHREAD_CREATE_DETACHED))
            return pthread_create(
                &thread, attributes,
                { raw in
                    guard let raw else { return nil }
                    Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().body()
                    return nil
                }, raw)
        }
        if status != 0 { Unmanaged<Work>.fromOpaque(raw).release() }
        return status == 0
    }

    /// What a new thread is handed.
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
