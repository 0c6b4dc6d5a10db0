package import CPMAntShape
import Dispatch
import LeafBatch
import LeafSystem
package import LeafWire

/// Which places on the sweep a batch may take: those that nobody else wants, and never the last one, so that whoever
/// asks next has one at once.
package final class BatchGate: JobTurns, Sendable {
    private struct State {
        /// Places that the batch has, and may have.
        var taken = 0
        var limit = 0
        /// Nobody else is there: even a request that needs more places than there may be can begin.
        var isAlone = false

        func admits(_ wanted: Int) -> Bool { taken + wanted <= limit || taken == 0 && isAlone }
    }

    private let monitor = Monitor(State(), events: 1)
    private let configuration: ModelConfiguration
    private let places: Int
    private let onRelease: @Sendable () -> Void

    /// - Parameters:
    ///   - places: on the sweep.
    ///   - onRelease: called when places have become free.
    package init(_ configuration: ModelConfiguration, places: Int, onRelease: @escaping @Sendable () -> Void) {
        (self.configuration, self.places, self.onRelease) = (configuration, places, onRelease)
    }

    /// The next of the others to begin, who come first; what they leave is the batch's.
    package func next(of carousel: inout Carousel) -> Carousel.Entry? {
        defer { monitor.wakeAll(.room) }
        return monitor.withLock { state in
            carousel.batchPlaces = state.taken
            let next = carousel.next()
            let others = carousel.takenPlaces - state.taken
            state.isAlone = others == 0 && carousel.waitingCount == 0
            state.limit = carousel.waitingCount > 0 ? 0 : max(1, places - 1) - others
            return next
        }
    }

    package func take(_ request: AnyRequest, within milliseconds: Int32) -> Bool {
        let wanted = width(of: request)
        if milliseconds > 0 {
            let end = DispatchTime.now().uptimeNanoseconds + UInt64(milliseconds) * 1_000_000
            _ = monitor.sleep(until: end, for: .room) { $0.admits(wanted) }
        }
        return monitor.withLock { state in
            guard state.admits(wanted) else { return false }
            state.taken += wanted
            return true
        }
    }

    package func giveBack(_ request: AnyRequest) {
        let wanted = width(of: request)
        monitor.withLock { $0.taken -= wanted }
        onRelease()
    }

    /// The run is over, and has nothing any more.
    func clear() {
        monitor.withLock { $0.taken = 0 }
        onRelease()
    }

    private func width(of request: AnyRequest) -> Int { min(places, Carrier.width(of: request, in: configuration)) }
}

extension Monitor.Event {
    fileprivate static var room: Self { Self(0) }
}
