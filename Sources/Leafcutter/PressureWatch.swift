import Dispatch
import LeafStream

/// Looks once a second how much memory there is, and lets weights leave or come back accordingly.
final class PressureWatch: @unchecked Sendable {
    private let timer: any DispatchSourceTimer

    init(_ store: BlockStore, reserveBytes: Int) {
        let queue = DispatchQueue(label: "leafcutter.pressure", qos: .utility)
        timer = DispatchSource.makeTimerSource(queue: queue)
        // Touched on the queue alone.
        nonisolated(unsafe) var policy = MemoryPressure(reserveBytes: reserveBytes, movableBytes: store.movableBytes)
        timer.setEventHandler { [weak store] in
            guard let store else { return }
            store.want(pinnedBytes: policy.pinnedBytes(after: .now(), now: store.wantedPinnedBytes))
        }
        timer.schedule(deadline: .now() + 1, repeating: 1, leeway: .milliseconds(100))
        timer.activate()
    }

    deinit { timer.cancel() }
}
