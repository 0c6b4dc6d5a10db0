import CLeafKernels
import Glibc
import Synchronization

/// Lets a fixed number of threads wait for each other, again and again.
///
/// During a sweep the other threads are microseconds behind, less than the time to sleep and wake up. So a thread spins
/// for some tens of microseconds and then sleeps. No thread spins through a read from the disk.
final class Barrier: @unchecked Sendable {
    /// How often a thread looks before it sleeps. Each look takes as long as the processor's pause for spinning
    /// threads: 15 to 45 ns.
    private static let looks = 1000

    private let threadCount: Int
    private let arrived = Atomic<Int>(0)
    /// The number of completed rounds.
    private let rounds = Atomic<Int>(0)
    private let sleepers = Atomic<Int>(0)
    private let isFailing = Atomic<Bool>(false)
    /// Whether a thread failed in the last round. No thread can complete another round before all have read it.
    private let hasFailed = Atomic<Bool>(false)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(threadCount: Int) {
        self.threadCount = threadCount
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Waits for all threads. Everything that any thread wrote before is visible to every thread afterwards.
    ///
    /// - Parameter seats: how many threads the caller stands for; more than itself where others never came to be.
    /// - Returns: whether any thread came here after a failure; the same answer for all threads.
    @discardableResult
    func wait(afterFailure: Bool = false, for seats: Int = 1) -> Bool {
        if afterFailure { isFailing.store(true, ordering: .relaxed) }
        let round = rounds.load(ordering: .relaxed)
        if arrived.add(seats, ordering: .acquiringAndReleasing).newValue == threadCount {
            arrived.store(0, ordering: .relaxed)
            let outcome = isFailing.exchange(false, ordering: .relaxed)
            hasFailed.store(outcome, ordering: .relaxed)
            rounds.add(1, ordering: .sequentiallyConsistent)
            // A thread that goes to sleep first counts itself and then looks once more, so one of the two sees the
            // other.
            guard sleepers.load(ordering: .sequentiallyConsistent) > 0 else { return outcome }
            pthread_mutex_lock(mutex)
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
            return outcome
        }
        for _ in 0..<Self.looks {
            if rounds.load(ordering: .acquiring) != round { return hasFailed.load(ordering: .relaxed) }
            leaf_pause()
        }
        pthread_mutex_lock(mutex)
        sleepers.add(1, ordering: .sequentiallyConsistent)
        while rounds.load(ordering: .sequentiallyConsistent) == round { pthread_cond_wait(condition, mutex) }
        sleepers.subtract(1, ordering: .relaxed)
        pthread_mutex_unlock(mutex)
        return hasFailed.load(ordering: .relaxed)
    }
}
