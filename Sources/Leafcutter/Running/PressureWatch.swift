import Dispatch
package import LeafStream
package import LeafSystem

/// Looks once a second how much memory the machine has left, and limits the weights that stay accordingly. What the
/// program itself asked to keep (`Model.pinnedBytes`) is never exceeded and never forgotten.
package final class PressureWatch: @unchecked Sendable {
    /// What makes the watch look: it is handed what to do, and returns what ends that.
    package typealias Clock = (_ look: @escaping @Sendable () -> Void) throws(LeafError) -> @Sendable () -> Void

    private let stop: @Sendable () -> Void

    /// - Parameters:
    ///   - reserveBytes: what the budget was meant to leave to others when it was made.
    ///   - clock: calls `look` from one thread at a time.
    ///   - read: what the kernel says when the watch looks.
    /// - Throws: what the clock throws.
    package init(
        _ store: BlockStore, reserveBytes: Int, clock: Clock = PressureWatch.everySecond(_:),
        read: @escaping @Sendable () -> MemoryPressure.Reading = { .now() }
    ) throws(LeafError) {
        // Touched by the clock alone.
        nonisolated(unsafe) var policy = MemoryPressure(reserveBytes: reserveBytes, movableBytes: store.movableBytes)
        stop = try clock { [weak store] in
            guard let store else { return }
            store.allow(pinnedBytes: policy.allowedBytes(after: read(), now: store.allowedPinnedBytes))
        }
    }

    deinit { stop() }

    /// - Throws: `.io` when the system starts no more threads.
    package static func everySecond(
        _ look: @escaping @Sendable () -> Void
    ) throws(LeafError) -> @Sendable () -> Void {
        let isOver = Monitor(false, events: 1)
        try ThreadGroup().start {
            while isOver.sleep(until: DispatchTime.now().uptimeNanoseconds + 1_000_000_000, for: .end, unless: { $0 }) {
                look()
            }
        }
        return {
            isOver.withLock { $0 = true }
            isOver.wakeAll(.end)
        }
    }
}

extension Monitor.Event {
    fileprivate static var end: Self { Self(0) }
}
