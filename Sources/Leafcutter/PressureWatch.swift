import Dispatch
package import LeafStream

/// Looks once a second how much memory the machine has left, and limits the weights that stay accordingly. What the
/// program itself asked to keep (`Model.pinnedBytes`) is never exceeded and never forgotten.
package final class PressureWatch: @unchecked Sendable {
    /// What makes the watch look: it is handed what to do, and returns what ends that.
    package typealias Clock = (_ look: @escaping @Sendable () -> Void) -> @Sendable () -> Void

    private let stop: @Sendable () -> Void

    /// - Parameters:
    ///   - reserveBytes: what the budget was meant to leave to others when it was made.
    ///   - clock: calls `look` from one thread at a time.
    ///   - read: what the kernel says when the watch looks.
    package init(
        _ store: BlockStore, reserveBytes: Int, clock: Clock = PressureWatch.everySecond(_:),
        read: @escaping @Sendable () -> MemoryPressure.Reading = { .now() }
    ) {
        // Touched by the clock alone.
        nonisolated(unsafe) var policy = MemoryPressure(reserveBytes: reserveBytes, movableBytes: store.movableBytes)
        stop = clock { [weak store] in
            guard let store else { return }
            store.allow(pinnedBytes: policy.allowedBytes(after: read(), now: store.allowedPinnedBytes))
        }
    }

    deinit { stop() }

    package static func everySecond(_ look: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let queue = DispatchQueue(label: "leafcutter.pressure", qos: .utility)
        nonisolated(unsafe) let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler(handler: look)
        timer.schedule(deadline: .now() + 1, repeating: 1, leeway: .milliseconds(100))
        timer.activate()
        return { timer.cancel() }
    }
}
