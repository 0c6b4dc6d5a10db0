import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter
import Synchronization

/// A request that waits for its turn or is under way, and the exchange that its answer goes to.
final class Job {
    let number: Int
    let exchange: HTTPExchange
    let request: ServedRequest
    let cancellation = Cancellation()
    let progress = ProgressBox()
    /// Bytes that it takes of the room for requests until it is over.
    let bytes: Int
    let route: String
    /// When the client was last sent something.
    var toldAt = ContinuousClock.now

    init(_ number: Int, _ exchange: HTTPExchange, _ request: ServedRequest, route: String) {
        (self.number, self.exchange, self.request, self.route) = (number, exchange, request, route)
        bytes = request.room.held
    }
}

/// The last progress of a request: written by the engine's thread, read by the loop's.
final class ProgressBox: Sendable {
    private let box = Mutex<RequestProgress?>(nil)

    var value: RequestProgress? { box.withLock { $0 } }
    func put(_ progress: RequestProgress) { box.withLock { $0 = progress } }
}

/// Somebody who watches the sweeps.
final class Watcher {
    let exchange: HTTPExchange
    var toldAt = ContinuousClock.now
    /// Whether the last thing that was sent was of a sweep that runs.
    var sawRunning = true

    init(_ exchange: HTTPExchange) { self.exchange = exchange }
}
