internal import Dispatch
internal import LeafFormat
internal import Synchronization

/// Which chunk is read next and into which slot, who still uses it, and who sleeps until what.
///
/// Readers claim chunks in sweep order. A pinned chunk is claimed once and stays. A streamed one needs a free slot; the
/// last of the consumers to release it frees the slot. A chunk's address is published in `ChunkState.address`, and taken
/// back when all have released it. There are more streamed chunks than slots, so nobody can be a whole sweep ahead
/// of another and an address always belongs to the sweep that its reader is in.
final class ReadAhead: Sendable {
    private struct State {
        /// The next chunk to claim, and whether a pinned one still has to be.
        var cursor = 0
        var isUnclaimed: [Bool]
        var unclaimedPinned: Int
        /// In the order in which they became free.
        var freeSlots: [Int]
        /// The last chunk in each slot, which a free slot keeps until it takes the next.
        var occupants: [Int?]
        var claims = 0
        var inFlight = 0
        var isPaused = false
        var isStopping = false
        /// Why the store is dead: the first claim that failed.
        var failure: LeafError?
        var failedClaim = Int.max
    }

    /// What the fast path touches, one for each chunk.
    private struct ChunkState: ~Copyable {
        /// Address of the unpacked bytes; 0 when they are not there.
        let address = Atomic<UInt>(0)
        /// Consumers that have not released it yet.
        let users = Atomic<Int>(0)
        /// Written by the reader before the address, read by the last user.
        var slot = -1
        var isVerified = false
    }

    private struct Claim {
        let number: Int
        let chunk: Int
        /// Nil for a pinned chunk.
        let slot: Int?
        /// The chunk whose bytes the slot still has.
        let evicted: Int?
    }
    private enum Work {
        case load(Claim)
        case stop
    }

    private let loader: ChunkLoader
    private let chunks: [Chunk]
    private let isPinned: [Bool]
    private let streamedCount: Int
    private let consumers: Int
    private let trace: TraceRecorder?
    private let monitor: Monitor<State>
    private nonisolated(unsafe) let states: UnsafeMutablePointer<ChunkState>
    private let acquired = Atomic<Int>(0)
    private let waitNanoseconds = Atomic<UInt64>(0)
    /// Acquisitions up to the sweep's begin, and full sweeps and chunks before it.
    private let history = Monitor((acquired: 0, sweeps: 0, chunks: 0))

    init(loader: ChunkLoader, plan: MemoryPlan, consumers: Int, trace: TraceRecorder?) {
        self.loader = loader
        self.trace = trace
        self.consumers = consumers
        chunks = loader.file.chunks
        var isPinned = [Bool](repeating: false, count: chunks.count)
        for chunk in plan.pinnedChunks { isPinned[chunk] = true }
        self.isPinned = isPinned
        streamedCount = chunks.count - plan.pinnedChunks.count
        precondition(streamedCount == 0 || plan.slotCount < streamedCount)
        monitor = Monitor(
            State(
                isUnclaimed: isPinned, unclaimedPinned: plan.pinnedChunks.count,
                freeSlots: Array(0..<plan.slotCount),
                occupants: [Int?](repeating: nil, count: plan.slotCount)))
        states = .allocate(capacity: max(1, chunks.count))
        for chunk in chunks.indices { (states + chunk).initialize(to: ChunkState()) }
    }

    deinit {
        states.deinitialize(count: chunks.count)
        states.deallocate()
    }

    // MARK: Consumers

    func acquire(_ chunk: Int, consumer: Int) throws(LeafError) -> UnsafeRawBufferPointer {
        var address = states[chunk].address.load(ordering: .acquiring)
        if address == 0 { address = try waitForAddress(of: chunk, consumer) }
        acquired.add(1, ordering: .relaxed)
        return UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: chunks[chunk].rawBytes)
    }

    private func waitForAddress(of chunk: Int, _ consumer: Int) throws(LeafError) -> UInt {
        let start = DispatchTime.now().uptimeNanoseconds
        let outcome: Result<UInt, LeafError> = monitor.wait(for: .loaded) { state in
            let address = states[chunk].address.load(ordering: .acquiring)
            if address != 0 { return .success(address) }
            // Reads in flight may still bring this chunk, which lies before the one that failed.
            if let failure = state.failure, state.inFlight == 0 { return .failure(failure) }
            return nil
        }
        waitNanoseconds.add(DispatchTime.now().uptimeNanoseconds - start, ordering: .relaxed)
        trace?.record(.wait, on: .compute(consumer), since: start, chunk)
        return try outcome.get()
    }

    func release(_ chunk: Int) {
        if isPinned[chunk] { return }
        guard states[chunk].users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        let slot = states[chunk].slot
        states[chunk].address.store(0, ordering: .relaxed)
        monitor.withLock { $0.freeSlots.append(slot) }
        monitor.wakeOne(.work)
    }

    func abandonSweep() {
        let perSweep = consumers * max(1, chunks.count)
        let partial = history.withLock { history in
            let total = acquired.load(ordering: .relaxed)
            let now = total - history.acquired
            history = (total, history.sweeps + now / perSweep, history.chunks + now / consumers)
            return now % perSweep
        }
        // At a sweep's end what is read ahead is what the next sweep wants.
        if partial == 0 { return }
        monitor.withLock { $0.isPaused = true }
        let occupants = monitor.wait(for: .loaded) { $0.inFlight == 0 ? $0.occupants : nil }
        for (slot, chunk) in occupants.enumerated() {
            guard let chunk else { continue }
            states[chunk].address.store(0, ordering: .relaxed)
            loader.unload(chunk, slot: slot)
        }
        monitor.withLock { state in
            for slot in state.occupants.indices { state.occupants[slot] = nil }
            state.freeSlots.removeAll(keepingCapacity: true)
            state.freeSlots.append(contentsOf: state.occupants.indices)
            state.cursor = 0
            state.isPaused = false
            // A dead store gives nothing any more, pinned chunks included.
            if state.failure != nil {
                for chunk in chunks.indices { states[chunk].address.store(0, ordering: .relaxed) }
            }
        }
        monitor.wakeAll(.work)
    }

    /// Copies bytes that lie in one pinned chunk; false when they do not, or are not there yet.
    func copyPinned(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        let index = low - 1
        guard index >= 0, isPinned[index], chunks[index].codec == .raw else { return false }
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
        let now = acquired.load(ordering: .relaxed)
        history.withLock { history in
            let since = max(0, now - history.acquired)
            counters.sweeps = history.sweeps + since / (consumers * max(1, chunks.count))
            counters.chunksServed = history.chunks + since / consumers
        }
        return counters
    }

    // MARK: Readers

    /// One reader: claims and loads until there is nothing left to read or the store stops.
    func run(as reader: Int) {
        while case .load(let claim) = nextWork() {
            if let evicted = claim.evicted, let slot = claim.slot { loader.unload(evicted, slot: slot) }
            let outcome = Result { () throws(LeafError) in
                try loader.load(
                    claim.chunk, slot: claim.slot, isVerified: states[claim.chunk].isVerified, reader: reader)
            }
            monitor.withLock { state in
                state.inFlight -= 1
                switch outcome {
                case .success(let bytes): publish(bytes, of: claim)
                case .failure(let error):
                    // Of several failures consumers get the first in order: they wait for all reads in flight.
                    if claim.number < state.failedClaim { (state.failedClaim, state.failure) = (claim.number, error) }
                }
            }
            monitor.wakeAll(.loaded)
        }
    }

    private func publish(_ bytes: UnsafeRawPointer, of claim: Claim) {
        let chunk = states + claim.chunk
        chunk.pointee.isVerified = true
        chunk.pointee.slot = claim.slot ?? -1
        chunk.pointee.users.store(consumers, ordering: .relaxed)
        chunk.pointee.address.store(UInt(bitPattern: bytes), ordering: .releasing)
    }

    func stop() {
        monitor.withLock { $0.isStopping = true }
        monitor.wakeAll(.work)
    }

    private func nextWork() -> Work {
        monitor.wait(for: .work) { state in
            if state.isStopping { return .stop }
            if state.isPaused || state.failure != nil { return nil }
            if streamedCount == 0, state.unclaimedPinned == 0 { return .stop }
            while isPinned[state.cursor], !state.isUnclaimed[state.cursor] { advance(&state) }
            let chunk = state.cursor
            var slot: Int?
            var evicted: Int?
            if isPinned[chunk] {
                state.isUnclaimed[chunk] = false
                state.unclaimedPinned -= 1
            } else {
                if state.freeSlots.isEmpty { return nil }
                let free = state.freeSlots.removeFirst()
                evicted = state.occupants[free]
                state.occupants[free] = chunk
                slot = free
            }
            advance(&state)
            state.inFlight += 1
            state.claims += 1
            // A release wakes one reader; what it can not do alone it passes on.
            if state.unclaimedPinned > 0 || !state.freeSlots.isEmpty { monitor.wakeOne(.work) }
            return .load(Claim(number: state.claims, chunk: chunk, slot: slot, evicted: evicted))
        }
    }

    private func advance(_ state: inout State) {
        state.cursor = state.cursor + 1 == chunks.count ? 0 : state.cursor + 1
    }
}
