internal import Glibc

/// State behind a lock, and threads that sleep until it changes.
///
/// The standard library's `Mutex` cannot wait, and the thread sanitizer does not see it.
final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let conditions = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: Event.allCases.count)

    /// The events that threads wait for.
    enum Event: Int, CaseIterable {
        /// A chunk was loaded, or never will be.
        case loaded
        /// There may be something to read, or a reason to stop.
        case work
        /// A read that waits for its time may not be wanted any more. Apart from `work`, whose single wake-ups must
        /// reach a reader that can take it.
        case pace
    }

    init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        for event in Event.allCases { pthread_cond_init(conditions + event.rawValue, &attributes) }
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        for event in Event.allCases { pthread_cond_destroy(conditions + event.rawValue) }
        pthread_mutex_destroy(mutex)
        conditions.deallocate()
        mutex.deallocate()
    }

    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Sleeps until `answer` returns a value. It is called with the lock held, and again after every wake-up.
    func wait<Answer>(for event: Event, _ answer: (inout State) -> Answer?) -> Answer {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let answer = answer(&state) { return answer }
            pthread_cond_wait(conditions + event.rawValue, mutex)
        }
    }

    /// Sleeps until the time has come or `isOver` says so.
    /// - Parameter time: nanoseconds of the monotonic clock, as `DispatchTime.uptimeNanoseconds`.
    /// - Returns: whether the time has come.
    func sleep(until time: UInt64, for event: Event, unless isOver: (State) -> Bool) -> Bool {
        var deadline = timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isOver(state) {
            if pthread_cond_timedwait(conditions + event.rawValue, mutex, &deadline) != 0 { return true }
        }
        return false
    }

    func wakeAll(_ event: Event) { pthread_cond_broadcast(conditions + event.rawValue) }
    func wakeOne(_ event: Event) { pthread_cond_signal(conditions + event.rawValue) }
}
