internal import Dispatch
import LeafSystem

/// What a store has done since it was opened.
public struct Counters: Sendable, Equatable {
    /// Bytes that came from the file, row reads included.
    public var bytesRead = 0
    /// Bytes of chunks read from each copy of the file, the model itself first.
    public var bytesBySource: [Int] = []
    /// Nanoseconds in which at least one read was in flight.
    public var readNanoseconds = 0
    /// The mean, over all consumers, of the nanoseconds that a consumer waited for chunks.
    public var waitNanoseconds = 0
    /// The number of requests: pieces of chunks, and rows.
    public var reads = 0
    /// Chunks delivered to all consumers, pinned ones included.
    public var chunksServed = 0
    /// Sweeps whose last chunk was delivered to all consumers.
    public var sweeps = 0

    public init() {}

    /// Bytes a second while reading; zero when nothing was read.
    public var bytesPerSecond: Double {
        readNanoseconds > 0 ? Double(bytesRead) / (Double(readNanoseconds) * 1e-9) : 0
    }
}

/// Counts reads and the time in which at least one was in flight.
final class ReadMeter: Sendable {
    private struct State {
        var active = 0
        var since: UInt64 = 0
        var nanoseconds: UInt64 = 0
        var bytes = 0
        var reads = 0
    }
    private let state = Monitor(State())

    func begin() {
        let now = DispatchTime.now().uptimeNanoseconds
        state.withLock {
            if $0.active == 0 { $0.since = now }
            $0.active += 1
        }
    }

    func end(bytes: Int) {
        let now = DispatchTime.now().uptimeNanoseconds
        state.withLock {
            $0.active -= 1
            if $0.active == 0 { $0.nanoseconds += now - min(now, $0.since) }
            $0.bytes += bytes
            $0.reads += 1
        }
    }

    /// Adds what was counted so far, including the time of reads in flight.
    func add(to counters: inout Counters) {
        let now = DispatchTime.now().uptimeNanoseconds
        let state = state.withLock { $0 }
        counters.bytesRead += state.bytes
        counters.reads += state.reads
        counters.readNanoseconds += Int(
            clamping: state.nanoseconds + (state.active > 0 ? now - min(now, state.since) : 0))
    }
}
