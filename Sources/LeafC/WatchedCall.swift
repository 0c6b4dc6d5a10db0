import CLibrary
import Dispatch
import LeafGeneration
import LeafSystem

/// A long call that does its work on a thread of its own, so that the calling thread can say how far it is, and stop
/// it, also while the disk gives nothing.
struct WatchedCall {
    private struct State<Value: Sendable> {
        var done = 0
        var total = 0
        var result: Result<Value, LeafError>?
    }

    /// How long the caller's function is not called at most.
    private static let nanoseconds: UInt64 = 100_000_000

    let progress: lc_progress?
    let user: UnsafeMutableRawPointer?

    /// - Parameter body: the work; it tells how far it is, and ends with `.cancelled` when it is cancelled.
    /// - Throws: what the work throws, `.io` if the system starts no more threads.
    func run<Value: Sendable>(
        _ body:
            @escaping @Sendable (
                _ cancellation: Cancellation, _ note: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
            ) throws(LeafError) -> Value
    ) throws(LeafError) -> Value {
        let (monitor, cancellation) = (Monitor(State<Value>(), events: 1), Cancellation())
        let thread = try SerialThread()
        thread.async {
            let result = Result { () throws(LeafError) in
                try body(cancellation) { done, total in monitor.withLock { ($0.done, $0.total) = (done, total) } }
            }
            monitor.withLock { $0.result = result }
            monitor.wakeAll(.ended)
        }
        while true {
            let (done, total, result) = monitor.withLock { ($0.done, $0.total, $0.result) }
            if let progress, progress(UInt64(done), UInt64(total), user) != 0 { cancellation.cancel() }
            if let result { return try result.get() }
            let end = DispatchTime.now().uptimeNanoseconds + Self.nanoseconds
            _ = monitor.sleep(until: end, for: .ended) { $0.result != nil }
        }
    }
}

extension Monitor.Event {
    fileprivate static var ended: Self { Self(0) }
}
