import CLibrary
import Dispatch
import LeafSystem
import Synchronization

/// What the library has added to its host's memory since a model began to open: its heap, its pages, and what of its
/// file is in memory. A second model that is opened meanwhile counts for the first one, too.
final class HostMemory: Sendable {
    private let heapBefore = leaf_library_heap_bytes()
    private let heapPeakBefore = leaf_library_heap_peak_bytes()
    private let pagesBefore = PageMemory.heldBytes
    /// The most that was seen.
    private let mostHeap = Atomic<Int>(0)
    private let mostPages = Atomic<Int>(0)

    /// The most so far, in bytes.
    var peakBytes: Int {
        mostHeap.max(leaf_library_heap_bytes(), ordering: .relaxed)
        mostPages.max(PageMemory.heldBytes, ordering: .relaxed)
        let peak = leaf_library_heap_peak_bytes()
        let heap = peak > heapPeakBefore ? peak : mostHeap.load(ordering: .relaxed)
        return max(0, heap - heapBefore) + max(0, mostPages.load(ordering: .relaxed) - pagesBefore)
            + leaf_library_image_bytes()
    }
}

/// Bytes of requests and answers that a model's plan has room for, and what is taken of them.
///
/// The room of a request comes back when nothing of it is left, which is a moment after it was freed. Whoever has freed
/// what fills the room and asks again waits for that moment.
final class RequestRoom: Sendable {
    private struct State {
        var taken = 0
        /// What of it was freed, and comes back by itself.
        var coming = 0
    }

    let bytes: Int
    private let monitor = Monitor(State(), events: 1)
    /// As long as a request needs to end when no other one is on its reading of the model.
    private static let patience: UInt64 = 1_000_000_000

    init(bytes: Int) { self.bytes = bytes }

    /// Takes room for a request until what is returned goes.
    ///
    /// - Throws: `.tooLong` for more than there is at all, `.busy` for more than is left.
    func take(_ wanted: Int) throws(LeafError) -> Share {
        guard wanted <= bytes else {
            throw LeafError(
                .tooLong,
                "the request and its answer take up to \(wanted.sizeText), more than the \(bytes.sizeText) that there "
                    + "are for requests; ask for less at once", advice: .opening("request_bytes", wanted))
        }
        let end = DispatchTime.now().uptimeNanoseconds + Self.patience
        var isLate = false
        while true {
            let isTaken = monitor.withLock { state in
                guard wanted <= bytes - state.taken else { return false }
                state.taken += wanted
                return true
            }
            if isTaken { return Share(self, wanted) }
            // Ends at once where what was freed is not enough.
            let isHopeless = monitor.withLock { wanted > bytes - $0.taken + $0.coming }
            guard !isLate, !isHopeless else {
                throw LeafError(
                    .busy, "the requests that are held fill their memory; free those that are done, then try again")
            }
            isLate = monitor.sleep(until: end, for: .roomCame) { [bytes] state in wanted <= bytes - state.taken }
        }
    }

    /// What a request has taken.
    final class Share: Sendable {
        private let room: RequestRoom
        private let bytes: Int
        private let isComing = Atomic<Bool>(false)

        fileprivate init(_ room: RequestRoom, _ bytes: Int) { (self.room, self.bytes) = (room, bytes) }

        /// The request was freed: what it has taken comes back without anybody's doing.
        func letGo() {
            guard !isComing.exchange(true, ordering: .relaxed) else { return }
            room.monitor.withLock { $0.coming += bytes }
        }

        deinit {
            let wasComing = isComing.load(ordering: .relaxed)
            room.monitor.withLock { state in
                state.taken -= bytes
                if wasComing { state.coming -= bytes }
            }
            room.monitor.wakeAll(.roomCame)
        }
    }
}

extension Monitor.Event {
    fileprivate static var roomCame: Self { Self(0) }
}

/// Rows of numbers that an event owns.
final class FloatRowsResult: Sendable {
    let rows: Int
    let columns: Int
    private let memory: PageMemory

    /// - Throws: `.budget` if the system refuses the memory.
    init(rows: Int, columns: Int) throws(LeafError) {
        (self.rows, self.columns) = (rows, columns)
        memory = try PageMemory(count: rows *| columns *| MemoryLayout<Float>.stride, for: "an answer's numbers")
    }

    var numbers: UnsafeMutablePointer<Float>? { memory.bytes.baseAddress?.assumingMemoryBound(to: Float.self) }

    /// Puts numbers where a row begins; nobody reads it yet.
    func put(_ values: UnsafeBufferPointer<Float>, at row: Int) {
        guard let start = values.baseAddress, let numbers, row * columns + values.count <= rows * columns
        else { return }
        (numbers + row * columns).update(from: start, count: values.count)
    }
}
