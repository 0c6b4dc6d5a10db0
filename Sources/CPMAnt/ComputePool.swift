import Dispatch
public import LeafFormat

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A fixed set of threads that run one job at a time, the caller among them.
///
/// Idle threads sleep. A job allocates nothing. Work is divided by output rows (`share(of:for:)`), never along a sum, so
/// results do not depend on the number of threads.
public final class ComputePool: @unchecked Sendable {
    /// Threads that run a job, the calling one included.
    public let threadCount: Int

    private let starts: [DispatchSemaphore]
    private let done = DispatchSemaphore(value: 0)
    // Written by the caller before the start signals and read by the workers after them.
    private var job: ((Int) -> Void)?
    private var isStopping = false
    private var failures: [LeafError?]

    public init(threadCount: Int) throws(LeafError) {
        precondition(threadCount > 0)
        self.threadCount = threadCount
        starts = (1..<threadCount).map { _ in DispatchSemaphore(value: 0) }
        failures = Array(repeating: nil, count: threadCount)
        for worker in 1..<threadCount {
            let seat = Seat(pool: self, worker: worker)
            guard seat.startThread() else {
                throw LeafError(
                    .io, "cannot start compute thread \(worker + 1) of \(threadCount); use a smaller --threads")
            }
        }
    }

    /// Ends the worker threads. The pool must not be used afterwards.
    ///
    /// The threads keep the pool alive, so this is the owner's duty and not a `deinit`'s.
    public func stop() {
        isStopping = true
        for start in starts { start.signal() }
        for _ in starts { done.wait() }
    }

    /// Runs `body` once on every thread, with the thread's number, and waits for all.
    /// - Throws: the error of the lowest-numbered thread that threw.
    public func run(_ body: (Int) throws(LeafError) -> Void) throws(LeafError) {
        let caught: (Int) -> Void = { worker in
            do throws(LeafError) { try body(worker) } catch { self.failures[worker] = error }
        }
        withoutActuallyEscaping(caught) { shared in
            job = shared
            for start in starts { start.signal() }
            shared(0)
            for _ in starts { done.wait() }
            job = nil
        }
        for worker in 0..<threadCount {
            if let failure = failures[worker] {
                for index in 0..<threadCount { failures[index] = nil }
                throw failure
            }
        }
    }

    /// The part of `count` items that thread `worker` does: contiguous, and all of them together once.
    public func share(of count: Int, for worker: Int) -> Range<Int> {
        count * worker / threadCount..<count * (worker + 1) / threadCount
    }

    private func work(as worker: Int) {
        while true {
            starts[worker - 1].wait()
            if isStopping { break }
            job?(worker)
            done.signal()
        }
        done.signal()
    }

    /// What a new thread is handed: which pool, and its number there.
    private final class Seat {
        let pool: ComputePool
        let worker: Int

        init(pool: ComputePool, worker: Int) {
            self.pool = pool
            self.worker = worker
        }

        func startThread() -> Bool {
            let raw = Unmanaged.passRetained(self).toOpaque()
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
                        let seat = Unmanaged<Seat>.fromOpaque(raw).takeRetainedValue()
                        seat.pool.work(as: seat.worker)
                        return nil
                    }, raw)
            }
            if status != 0 { Unmanaged<Seat>.fromOpaque(raw).release() }
            return status == 0
        }
    }
}
