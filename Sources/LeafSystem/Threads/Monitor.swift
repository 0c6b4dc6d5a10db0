internal import Glibc

/// State behind a lock, and threads that sleep until it changes.
///
/// The standard library's `Mutex` cannot wait, and the thread sanitizer does not see it.
package final class Monitor<State>: @unchecked Sendable {
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let conditions: UnsafeMutablePointer<pthread_cond_t>
    private let events: Int

    /// What threads wait for. Whoever makes a monitor numbers its events from 0 and gives them names.
    package struct Event: Sendable {
        let number: Int
        package init(_ number: Int) { self.number = number }
    }

    /// - Parameter events: how many events threads may wait for.
    package init(_ state: State, events: Int = 0) {
        self.state = state
        self.events = events
        conditions = .allocate(capacity: events)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        for event in 0..<events { pthread_cond_init(conditions + event, &attributes) }
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        for event in 0..<events { pthread_cond_destroy(conditions + event) }
        pthread_mutex_destroy(mutex)
        conditions.deallocate()
        mutex.deallocate()
    }

    package func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    /// Sleeps until `answer` returns a value. It is called with the lock held, and again after every wake-up.
    package func wait<Answer>(for event: Event, _ answer: (inout State) -> Answer?) -> Answer {
        wait(for: event, lookingAt: { _ in nil }, answer)
    }

    /// The same for an answer that time alone may change.
    ///
    /// - Parameter time: when to call `answer` again if nobody wakes it before, asked with the lock held: nanoseconds
    ///   of the monotonic clock, as `DispatchTime.uptimeNanoseconds`.
    package func wait<Answer>(
        for event: Event, lookingAt time: (State) -> UInt64?, _ answer: (inout State) -> Answer?
    ) -> Answer {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let answer = answer(&state) { return answer }
            if let time = time(state) {
                var deadline = timespec(nanoseconds: time)
                pthread_cond_timedwait(conditions + event.number, mutex, &deadline)
            } else {
                pthread_cond_wait(conditions + event.number, mutex)
            }
        }
    }

    /// Sleeps until the time has come or `isOver` says so.
    /// - Parameter time: nanoseconds of the monotonic clock, as `DispatchTime.uptimeNanoseconds`.
    /// - Returns: whether the time has come.
    package func sleep(until time: UInt64, for event: Event, unless isOver: (State) -> Bool) -> Bool {
        var deadline = timespec(nanoseconds: time)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isOver(state) {
            if pthread_cond_timedwait(conditions + event.number, mutex, &deadline) != 0 { return true }
        }
        return false
    }

    package func wakeAll(_ event: Event) { pthread_cond_broadcast(conditions + event.number) }
    package func wakeOne(_ event: Event) { pthread_cond_signal(conditions + event.number) }
}

extension timespec {
    fileprivate init(nanoseconds: UInt64) {
        self.init(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}
