internal import Dispatch
internal import LeafFormat
internal import LeafSystem
internal import Synchronization

/// Schedules reads: hands pieces of chunks to reader threads in sweep order, assigns slots, counts the consumers of
/// each chunk, and lets threads sleep that have nothing to do.
///
/// Readers open chunks in the order of `SweepOrder` and share out their pieces. A pinned chunk is opened once and
/// stays. A streamed one needs a free slot; the last of the consumers to release it frees the slot.
///
/// The reader that brings a chunk's last piece publishes the chunk's address in `ChunkState.address`. The address is
/// taken back when all consumers have released the chunk, so it belongs to one position. Between two sweeps of the same
/// direction lie more streamed chunks than there are slots, so no consumer can be a whole sweep ahead of another. Where
/// the direction turns, consumers have released a chunk before any of them asks for it again.
final class ReadAhead: Sendable {
    struct State {
        /// The position of the next chunk to open, since the pattern of sweeps last began.
        var cursor = 0
        /// The chunk whose pieces are being handed out.
        var open: Load?
        var isPinned: [Bool]
        /// Whether a pinned chunk has not been read yet.
        var isUnclaimed: [Bool]
        var unclaimedPinned: Int
        var streamedCount: Int
        var pieces: [Pieces]
        /// Free slots in the order in which they became free. The last one is taken first, because caches still hold
        /// its memory.
        var freeSlots: [Int]
        /// The last chunk in each slot, which a free slot keeps, whole, until it takes the next.
        var occupants: [Int?]
        var sources: SourceRates
        var pacer: ReadPacer
        var claims = 0
        /// Pieces that are being read or finished or wait for their time, and slots that are being emptied.
        var inFlight = 0
        var isPaused = false
        var isStopping = false
        /// Whether no consumer may wait until the sweep is abandoned.
        var isInterrupted = false
        /// The first failure by order of claims; the store is dead once it is set.
        var failure: LeafError?
        var failedClaim = Int.max

        /// A pinned chunk is not on its way any more.
        mutating func unclaim(_ chunk: Int) {
            if isUnclaimed[chunk] { return }
            isUnclaimed[chunk] = true
            unclaimedPinned += 1
        }
    }

    /// A chunk that is being loaded.
    struct Load {
        let chunk: Int
        /// Nil for a pinned chunk.
        let slot: Int?
        let pieceCount: Int
        var nextPiece = 0
    }

    /// The state of one chunk that the path without a lock uses.
    struct ChunkState: ~Copyable {
        /// The address of the unpacked bytes; 0 if they are not in memory.
        let address = Atomic<UInt>(0)
        /// The number of consumers that have not released the chunk yet.
        let users = Atomic<Int>(0)
        /// The slot; -1 for a pinned chunk. The reader writes it before the address.
        let slot = Atomic<Int>(-1)
    }

    /// Sets of pieces of a chunk; each piece, together with its source, is one bit.
    struct Pieces {
        /// Pieces of the current load that have been read.
        var loaded: UInt64 = 0
        /// Pieces whose bytes a digest has confirmed.
        var verified: UInt64 = 0
    }

    let loader: ChunkLoader
    /// All chunks of the file; arrays of chunks have their indices.
    let chunks: [Chunk]
    let order: SweepOrder
    let consumers: Int
    let monitor: Monitor<State>
    nonisolated(unsafe) let states: UnsafeMutablePointer<ChunkState>
    let residency: Residency
    let trace: TraceRecorder?
    private let acquired = Atomic<Int>(0)
    private let waitNanoseconds = Atomic<UInt64>(0)
    /// Acquisitions up to the pattern's begin, and full sweeps and chunks before it.
    private let history = Monitor((acquired: 0, sweeps: 0, chunks: 0))

    init(
        loader: ChunkLoader, plan: MemoryPlan, order: SweepOrder, consumers: Int, maxBytesPerSecond: Int?,
        trace: TraceRecorder?
    ) {
        self.loader = loader
        self.order = order
        self.trace = trace
        self.consumers = consumers
        chunks = loader.file.chunks
        precondition(
            chunks[order.chunks].allSatisfy { $0.paddedBytes <= 32 * loader.requestBytes } && loader.sourceCount <= 2)
        let pinned = plan.pinnedChunks.map { order.chunks.lowerBound + $0 }
        var isUnclaimed = [Bool](repeating: false, count: chunks.count)
        for chunk in pinned { isUnclaimed[chunk] = true }
        // What nobody asks for is never read, like a pinned chunk that is there.
        var isPinned = isUnclaimed
        for chunk in plan.absentChunks { isPinned[order.chunks.lowerBound + chunk] = true }
        let streamedCount = order.chunks.count(where: { !isPinned[$0] })
        precondition(streamedCount == 0 || plan.slotCount < streamedCount)
        residency = Residency(
            plan, chunks, pinned: pinned, lent: Set(plan.lentChunks.map { order.chunks.lowerBound + $0 }))
        monitor = Monitor(
            State(
                isPinned: isPinned, isUnclaimed: isUnclaimed, unclaimedPinned: pinned.count,
                streamedCount: streamedCount,
                pieces: Array(repeating: Pieces(), count: chunks.count), freeSlots: Array(0..<plan.slotCount),
                occupants: [Int?](repeating: nil, count: plan.slotCount),
                sources: SourceRates(count: loader.sourceCount),
                pacer: ReadPacer(bytesPerSecond: maxBytesPerSecond)),
            events: 3)
        states = .allocate(capacity: max(1, chunks.count))
        for chunk in chunks.indices { (states + chunk).initialize(to: ChunkState()) }
    }

    deinit {
        states.deinitialize(count: chunks.count)
        states.deallocate()
    }

    // MARK: Consumers

    func acquire(_ chunk: Int, consumer: Int) throws(LeafError) -> UnsafeRawBufferPointer {
        precondition(order.chunks.contains(chunk))
        var address = states[chunk].address.load(ordering: .acquiring)
        if address == 0 { address = try waitForAddress(of: chunk, consumer) }
        acquired.add(1, ordering: .relaxed)
        return UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: chunks[chunk].rawBytes)
    }

    /// The bytes of a pinned chunk for somebody beside the sweep.
    func borrow(_ chunk: Int) throws(LeafError) -> UnsafeRawBufferPointer {
        let address = states[chunk].address.load(ordering: .acquiring)
        // A chunk in a slot leaves when the sweep's consumers have released it.
        guard address != 0, states[chunk].slot.load(ordering: .relaxed) < 0 else {
            throw LeafError(.cancelled, "weights that two models share are not in memory")
        }
        return UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: chunks[chunk].rawBytes)
    }

    private func waitForAddress(of chunk: Int, _ consumer: Int) throws(LeafError) -> UInt {
        let start = DispatchTime.now().uptimeNanoseconds
        let outcome: Result<UInt, LeafError> = monitor.wait(for: .loaded) { state in
            let address = states[chunk].address.load(ordering: .acquiring)
            if address != 0 { return .success(address) }
            // Reads in flight may still bring this chunk, if it lies before the one that failed.
            if let failure = state.failure, state.inFlight == 0 { return .failure(failure) }
            return state.isInterrupted ? .failure(LeafError(.cancelled, "stopped")) : nil
        }
        waitNanoseconds.add(DispatchTime.now().uptimeNanoseconds - start, ordering: .relaxed)
        trace?.record(.wait, on: .compute(consumer), since: start, chunk)
        return try outcome.get()
    }

    func release(_ chunk: Int) {
        let slot = states[chunk].slot.load(ordering: .relaxed)
        if slot < 0 { return }
        guard states[chunk].users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        states[chunk].address.store(0, ordering: .relaxed)
        monitor.withLock { $0.freeSlots.append(slot) }
        monitor.wakeOne(.work)
    }

    func interrupt() {
        monitor.withLock { $0.isInterrupted = true }
        monitor.wakeAll(.loaded)
    }

    func resume() { monitor.withLock { $0.isInterrupted = false } }

    func abandonSweep() {
        let perSweep = consumers * max(1, order.chunks.count)
        let (consumed, partial) = history.withLock { history in
            let total = acquired.load(ordering: .relaxed)
            let now = total - history.acquired
            history = (total, history.sweeps + now / perSweep, history.chunks + now / consumers)
            return (now / consumers, now % (perSweep * order.pattern.count))
        }
        // At the pattern's end what is read ahead is what its next begin wants.
        if partial == 0 {
            return monitor.withLock { state in
                // Readers without work leave the cursor behind: up to here everything is there.
                state.cursor = max(0, state.cursor - consumed)
                state.isInterrupted = false
            }
        }
        monitor.withLock { $0.isPaused = true }
        monitor.wakeAll(.pace)
        let occupants = monitor.wait(for: .loaded) { $0.inFlight == 0 ? $0.occupants : nil }
        // Readers rest, and no consumer holds a chunk.
        for (slot, chunk) in occupants.enumerated() {
            guard let chunk else { continue }
            states[chunk].address.store(0, ordering: .relaxed)
            loader.unload(chunk, slot: slot)
        }
        monitor.withLock(beginAnew)
        monitor.wakeAll(.work)
    }

    private func beginAnew(_ state: inout State) {
        if let load = state.open, load.slot == nil { state.unclaim(load.chunk) }
        state.open = nil
        for slot in state.occupants.indices { state.occupants[slot] = nil }
        state.freeSlots.removeAll(keepingCapacity: true)
        state.freeSlots.append(contentsOf: state.occupants.indices)
        state.cursor = 0
        state.isPaused = false
        state.isInterrupted = false
        // A dead store delivers nothing more, not even pinned chunks.
        if state.failure != nil {
            for chunk in order.chunks { states[chunk].address.store(0, ordering: .relaxed) }
        }
    }

    /// Positions that the consumers have passed since the pattern last began. Not to be read while any of them works.
    var consumed: Int { history.withLock { (acquired.load(ordering: .relaxed) - $0.acquired) / consumers } }

    /// Copies bytes that lie in one pinned chunk; false if they do not, or if that chunk is not loaded yet.
    func copyPinned(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        var low = order.chunks.lowerBound
        var high = order.chunks.upperBound
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        let index = low - 1
        guard index >= order.chunks.lowerBound, chunks[index].codec == .raw,
            monitor.withLock({ $0.isPinned[index] })
        else { return false }
        let start = offset - chunks[index].offset
        let address = states[index].address.load(ordering: .acquiring)
        guard address != 0, start <= chunks[index].rawBytes, target.count <= chunks[index].rawBytes - start else {
            return false
        }
        let bytes = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: chunks[index].rawBytes)
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + target.count]))
        return true
    }

    var counters: Counters {
        var counters = Counters()
        loader.meter.add(to: &counters)
        counters.waitNanoseconds = Int(clamping: waitNanoseconds.load(ordering: .relaxed)) / consumers
        counters.bytesBySource = monitor.withLock { $0.sources.bytes }
        let now = acquired.load(ordering: .relaxed)
        history.withLock { history in
            let since = max(0, now - history.acquired)
            counters.sweeps = history.sweeps + since / (consumers * max(1, order.chunks.count))
            counters.chunksServed = history.chunks + since / consumers
        }
        return counters
    }
}

/// Where a store's consumers and readers are.
package struct SweepView: Sendable {
    /// The chunk that is worked with, or will be next.
    package let computing: Int
    /// The chunk that is read, or will be next; nil while nothing is streamed.
    package let reading: Int?
    /// For each chunk of the file whether it stays in memory.
    package let isPinned: [Bool]
}

extension ReadAhead {
    var position: SweepView {
        let computing = order.chunks.lowerBound + counters.chunksServed % max(1, order.chunks.count)
        return monitor.withLock { state in
            let reading = state.open?.chunk ?? order.chunk(at: state.cursor)
            return SweepView(
                computing: computing, reading: state.streamedCount == 0 ? nil : reading, isPinned: state.isPinned)
        }
    }
}

/// What consumers and readers wait for.
extension Monitor.Event {
    /// A chunk was loaded, or never will be.
    static var loaded: Self { Self(0) }
    /// There may be something to read, or a reason to stop.
    static var work: Self { Self(1) }
    /// A read that waits for its time may not be wanted any more. Apart from `work`, whose single wake-ups must reach a
    /// reader that can take it.
    static var pace: Self { Self(2) }
}
