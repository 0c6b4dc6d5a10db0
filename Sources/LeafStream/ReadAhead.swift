internal import Dispatch
internal import LeafFormat
internal import Synchronization

/// Which piece of which chunk is read next and into which slot, who still uses a chunk, and who sleeps until what.
///
/// Readers open chunks in sweep order and share out their pieces. A pinned chunk is opened once and stays. A streamed one
/// needs a free slot; the last of the consumers to release it frees the slot. A chunk's address is published in
/// `ChunkState.address` by the reader that brings its last piece, and taken back when all consumers have released it.
/// There are more streamed chunks than slots, so nobody can be a whole sweep ahead of another and an address always
/// belongs to the sweep that its reader is in.
final class ReadAhead: Sendable {
    struct State {
        /// The next chunk to open, and how many places the cursor has moved since the sweeps were last begun anew.
        var cursor = 0
        var passed = 0
        /// The chunk whose pieces are being shared out.
        var open: Load?
        var isPinned: [Bool]
        /// Whether a pinned chunk still has to be read.
        var isUnclaimed: [Bool]
        var unclaimedPinned: Int
        var streamedCount: Int
        var pieces: [Pieces]
        /// In the order in which they became free. The last is taken first: it is the one that caches still hold.
        var freeSlots: [Int]
        /// The last chunk in each slot, which a free slot keeps until it takes the next.
        var occupants: [Int?]
        var sources: SourceRates
        var pacer: ReadPacer
        var claims = 0
        /// Pieces that are being read or finished.
        var inFlight = 0
        var isPaused = false
        var isStopping = false
        /// Why the store is dead: the first claim that failed.
        var failure: LeafError?
        var failedClaim = Int.max
    }

    /// A chunk on its way.
    struct Load {
        let chunk: Int
        /// Nil for a pinned chunk.
        let slot: Int?
        let pieceCount: Int
        var nextPiece = 0
    }

    /// What the fast path touches, one for each chunk.
    struct ChunkState: ~Copyable {
        /// Address of the unpacked bytes; 0 when they are not there.
        let address = Atomic<UInt>(0)
        /// Consumers that have not released it yet.
        let users = Atomic<Int>(0)
        /// -1 for a pinned chunk. Written by the reader before the address.
        let slot = Atomic<Int>(-1)
    }

    /// Pieces of a chunk, each with its source, a bit each.
    struct Pieces {
        /// Those that are there, of the load under way.
        var loaded: UInt64 = 0
        /// Those whose bytes a digest has vouched for.
        var verified: UInt64 = 0
    }

    private struct Piece {
        let claim: Int
        let chunk: Int
        let slot: Int?
        let number: Int
        let source: Int
        /// Reads in flight from the source, this one included.
        let depth: Int
        /// When the read may begin.
        let start: UInt64
    }
    private enum Work {
        case read(Piece)
        case stop
    }

    let loader: ChunkLoader
    let chunks: [Chunk]
    let consumers: Int
    let monitor: Monitor<State>
    nonisolated(unsafe) let states: UnsafeMutablePointer<ChunkState>
    let residency: Residency
    private let trace: TraceRecorder?
    private let acquired = Atomic<Int>(0)
    private let waitNanoseconds = Atomic<UInt64>(0)
    /// Acquisitions up to the sweep's begin, and full sweeps and chunks before it.
    private let history = Monitor((acquired: 0, sweeps: 0, chunks: 0))

    init(
        loader: ChunkLoader, plan: MemoryPlan, consumers: Int, maxBytesPerSecond: Int?, trace: TraceRecorder?
    ) {
        self.loader = loader
        self.trace = trace
        self.consumers = consumers
        chunks = loader.file.chunks
        precondition(chunks.allSatisfy { $0.paddedBytes <= 32 * loader.requestBytes } && loader.sourceCount <= 2)
        var isPinned = [Bool](repeating: false, count: chunks.count)
        for chunk in plan.pinnedChunks { isPinned[chunk] = true }
        let streamedCount = chunks.count - plan.pinnedChunks.count
        precondition(streamedCount == 0 || plan.slotCount < streamedCount)
        residency = Residency(plan, chunks)
        monitor = Monitor(
            State(
                isPinned: isPinned, isUnclaimed: isPinned, unclaimedPinned: plan.pinnedChunks.count,
                streamedCount: streamedCount, pieces: Array(repeating: Pieces(), count: chunks.count),
                freeSlots: Array(0..<plan.slotCount),
                occupants: [Int?](repeating: nil, count: plan.slotCount),
                sources: SourceRates(count: loader.sourceCount),
                pacer: ReadPacer(bytesPerSecond: maxBytesPerSecond)))
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
        let slot = states[chunk].slot.load(ordering: .relaxed)
        if slot < 0 { return }
        guard states[chunk].users.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        states[chunk].address.store(0, ordering: .relaxed)
        monitor.withLock { $0.freeSlots.append(slot) }
        monitor.wakeOne(.work)
    }

    func abandonSweep() {
        let perSweep = consumers * max(1, chunks.count)
        let (consumed, partial) = history.withLock { history in
            let total = acquired.load(ordering: .relaxed)
            let now = total - history.acquired
            history = (total, history.sweeps + now / perSweep, history.chunks + now / consumers)
            return (now / consumers, now % perSweep)
        }
        // At a sweep's end what is read ahead is what the next sweep wants.
        if partial == 0 { return monitor.withLock { $0.passed -= consumed } }
        monitor.withLock { $0.isPaused = true }
        monitor.wait(for: .loaded) { $0.inFlight == 0 ? () : nil }
        monitor.withLock { state in
            for (slot, chunk) in state.occupants.enumerated() {
                guard let chunk else { continue }
                states[chunk].address.store(0, ordering: .relaxed)
                loader.unload(chunk, slot: slot)
                state.occupants[slot] = nil
            }
            if let load = state.open, load.slot == nil {
                state.isUnclaimed[load.chunk] = true
                state.unclaimedPinned += 1
            }
            state.open = nil
            state.freeSlots.removeAll(keepingCapacity: true)
            state.freeSlots.append(contentsOf: state.occupants.indices)
            state.cursor = 0
            state.passed = 0
            state.isPaused = false
            // A dead store gives nothing any more, pinned chunks included.
            if state.failure != nil {
                for chunk in chunks.indices { states[chunk].address.store(0, ordering: .relaxed) }
            }
        }
        monitor.wakeAll(.work)
    }

    /// Chunks that the consumers were given since the sweeps were last begun anew. Not while any of them works.
    var consumed: Int { history.withLock { (acquired.load(ordering: .relaxed) - $0.acquired) / consumers } }

    /// Copies bytes that lie in one pinned chunk; false when they do not, or are not there yet.
    func copyPinned(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        let index = low - 1
        guard index >= 0, chunks[index].codec == .raw, monitor.withLock({ $0.isPinned[index] }) else { return false }
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
            counters.sweeps = history.sweeps + since / (consumers * max(1, chunks.count))
            counters.chunksServed = history.chunks + since / consumers
        }
        return counters
    }

    // MARK: Readers

    /// One reader: claims and reads pieces until the store stops.
    func run(as reader: Int) {
        while case .read(let piece) = nextWork() {
            let begin = sleep(until: piece.start)
            let outcome = Result { () throws(LeafError) in
                try loader.read(piece: piece.number, of: piece.chunk, slot: piece.slot, from: piece.source)
            }
            let duration = DispatchTime.now().uptimeNanoseconds - begin
            trace?.record(
                .read, on: .reader(reader), since: begin, TraceRecorder.detail(piece.number, ofChunk: piece.chunk))
            if let isVerified = account(for: piece, outcome, nanoseconds: duration) {
                publish(piece, isVerified: isVerified)
            }
        }
    }

    /// Notes what became of a piece.
    /// - Returns: whether the chunk's bytes are known to be right, if this was its last piece; nil otherwise.
    private func account(for piece: Piece, _ outcome: Result<Void, LeafError>, nanoseconds: UInt64) -> Bool? {
        let (isLast, isVerified, isOver) = monitor.withLock { state -> (Bool, Bool, Bool) in
            let count = loader.bytes(ofPiece: piece.number, of: piece.chunk)
            switch outcome {
            case .success:
                state.sources.finish(piece.source, depth: piece.depth, bytes: count, nanoseconds: nanoseconds)
                state.pieces[piece.chunk].loaded |= 1 << UInt64(piece.source * 32 + piece.number)
                let pieces = state.pieces[piece.chunk]
                // The reader of the last piece finishes the chunk and stays in flight meanwhile.
                if pieces.loaded.nonzeroBitCount == loader.pieceCount(of: piece.chunk) {
                    return (true, pieces.loaded & ~pieces.verified == 0, false)
                }
            case .failure(let error):
                state.sources.finish(piece.source, depth: piece.depth, bytes: 0, nanoseconds: nanoseconds)
                fail(&state, piece.claim, error)
            }
            state.inFlight -= 1
            return (false, false, state.inFlight == 0 && (state.isPaused || state.failure != nil))
        }
        if isOver { monitor.wakeAll(.loaded) }
        return isLast ? isVerified : nil
    }

    private func publish(_ piece: Piece, isVerified: Bool) {
        let outcome = Result { () throws(LeafError) in
            try loader.finish(piece.chunk, slot: piece.slot, isVerified: isVerified)
        }
        monitor.withLock { state in
            state.inFlight -= 1
            switch outcome {
            case .success(let bytes):
                state.pieces[piece.chunk].verified |= state.pieces[piece.chunk].loaded
                states[piece.chunk].slot.store(piece.slot ?? -1, ordering: .relaxed)
                states[piece.chunk].users.store(consumers, ordering: .relaxed)
                states[piece.chunk].address.store(UInt(bitPattern: bytes), ordering: .releasing)
            case .failure(let error):
                fail(&state, piece.claim, error)
            }
        }
        monitor.wakeAll(.loaded)
    }

    /// Of several failures consumers get the first in order: they wait for all reads in flight.
    private func fail(_ state: inout State, _ claim: Int, _ error: LeafError) {
        if claim < state.failedClaim { (state.failedClaim, state.failure) = (claim, error) }
    }

    /// - Returns: the time when it woke up.
    private func sleep(until start: UInt64) -> UInt64 {
        let now = DispatchTime.now().uptimeNanoseconds
        if start <= now { return now }
        monitor.sleep(until: start, for: .work) { $0.isStopping || $0.isPaused }
        return DispatchTime.now().uptimeNanoseconds
    }

    func stop() {
        monitor.withLock { $0.isStopping = true }
        monitor.wakeAll(.work)
    }

    private func nextWork() -> Work {
        let (work, isMoreLeft): (Work, Bool) = monitor.wait(for: .work) { state in
            if state.isStopping { return (.stop, false) }
            if state.isPaused || state.failure != nil { return nil }
            guard var load = state.open ?? openNext(&state) else { return nil }
            let number = load.nextPiece
            load.nextPiece += 1
            state.open = load.nextPiece < load.pieceCount ? load : nil
            state.inFlight += 1
            state.claims += 1
            let (source, depth) = state.sources.choose()
            let start = state.pacer.start(
                bytes: loader.bytes(ofPiece: number, of: load.chunk), now: DispatchTime.now().uptimeNanoseconds)
            let piece = Piece(
                claim: state.claims, chunk: load.chunk, slot: load.slot, number: number, source: source, depth: depth,
                start: start)
            return (.read(piece), state.open != nil || state.unclaimedPinned > 0 || !state.freeSlots.isEmpty)
        }
        // A release wakes one reader; what it can not do alone it passes on.
        if isMoreLeft { monitor.wakeOne(.work) }
        return work
    }

    /// The next chunk in sweep order that has to be read and can be; nil when there is none, or no slot for it.
    private func openNext(_ state: inout State) -> Load? {
        if state.streamedCount == 0, state.unclaimedPinned == 0 { return nil }
        while state.isPinned[state.cursor], !state.isUnclaimed[state.cursor] { advance(&state) }
        let chunk = state.cursor
        var slot: Int?
        if state.isPinned[chunk] {
            state.isUnclaimed[chunk] = false
            state.unclaimedPinned -= 1
        } else {
            guard let free = state.freeSlots.popLast() else { return nil }
            if let evicted = state.occupants[free] { loader.unload(evicted, slot: free) }
            state.occupants[free] = chunk
            slot = free
        }
        advance(&state)
        let load = Load(chunk: chunk, slot: slot, pieceCount: loader.pieceCount(of: chunk))
        state.pieces[chunk].loaded = 0
        return load
    }

    func advance(_ state: inout State) {
        state.cursor = state.cursor + 1 == chunks.count ? 0 : state.cursor + 1
        state.passed += 1
    }
}
