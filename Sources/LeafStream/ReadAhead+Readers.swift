internal import Dispatch
internal import LeafSystem
internal import Synchronization

/// What reader threads do.
extension ReadAhead {
    private struct Piece {
        let claim: Int
        let chunk: Int
        let slot: Int?
        let number: Int
        let source: Int
        /// Reads in flight from the source, this one included.
        let depth: Int
        /// The earliest time at which the read may begin.
        let start: UInt64
    }

    private enum Work {
        case read(Piece)
        /// Empty the slot of the chunk that it holds.
        case unload(chunk: Int, slot: Int)
        case stop
    }

    /// Runs one reader: claims and reads pieces until the store stops.
    func run(as reader: Int) {
        while true {
            switch nextWork() {
            case .stop: return
            case .unload(let chunk, let slot): unload(chunk, slot: slot)
            case .read(let piece):
                guard let begin = waitForTime(of: piece) else { continue }
                read(piece, as: reader, since: begin)
            }
        }
    }

    func stop() {
        monitor.withLock { $0.isStopping = true }
        monitor.wakeAll(.work)
        monitor.wakeAll(.pace)
    }

    // MARK: Claims

    private func nextWork() -> Work {
        let (work, isMoreLeft): (Work, Bool) = monitor.wait(for: .work) { state in
            if state.isStopping { return (.stop, false) }
            if state.isPaused || state.failure != nil { return nil }
            let next = if let load = state.open { claim(load, &state) } else { openNext(&state) }
            return next.map { ($0, state.open != nil || state.unclaimedPinned > 0 || !state.freeSlots.isEmpty) }
        }
        // `release` wakes one reader. If work is left for others, that reader wakes the next.
        if isMoreLeft { monitor.wakeOne(.work) }
        return work
    }

    /// Opens the next chunk in order that has to be read.
    ///
    /// - Returns: its first piece, or what has to leave a slot for it; nil when there is nothing to read or no slot.
    private func openNext(_ state: inout State) -> Work? {
        if state.streamedCount == 0, state.unclaimedPinned == 0 { return nil }
        while true {
            let chunk = order.chunk(at: state.cursor)
            if state.isPinned[chunk] {
                if state.isUnclaimed[chunk] {
                    state.isUnclaimed[chunk] = false
                    state.unclaimedPinned -= 1
                    return open(chunk, slot: nil, &state)
                }
            } else if let slot = state.occupants.firstIndex(of: chunk) {
                // Consumers that have not come to the turn yet still use it.
                guard let index = state.freeSlots.firstIndex(of: slot) else { return nil }
                state.freeSlots.remove(at: index)
                // In a sweep of the same direction it is an accident that a chunk is still there: it is read like the
                // others, so that every sweep reads the same.
                guard order.isAfterTurn(state.cursor) else { return open(chunk, slot: slot, &state) }
                states[chunk].users.store(consumers, ordering: .relaxed)
                states[chunk].address.store(
                    UInt(bitPattern: loader.address(of: chunk, slot: slot)), ordering: .releasing)
                monitor.wakeAll(.loaded)
            } else {
                guard let slot = state.freeSlots.popLast() else { return nil }
                if loader.isMapped, let leaving = state.occupants[slot] {
                    state.occupants[slot] = nil
                    state.inFlight += 1
                    return .unload(chunk: leaving, slot: slot)
                }
                state.occupants[slot] = chunk
                return open(chunk, slot: slot, &state)
            }
            state.cursor += 1
        }
    }

    private func open(_ chunk: Int, slot: Int?, _ state: inout State) -> Work {
        state.cursor += 1
        state.pieces[chunk].loaded = 0
        return claim(Load(chunk: chunk, slot: slot, pieceCount: loader.pieceCount(of: chunk)), &state)
    }

    private func claim(_ load: Load, _ state: inout State) -> Work {
        let number = load.nextPiece
        var rest = load
        rest.nextPiece += 1
        state.open = rest.nextPiece < load.pieceCount ? rest : nil
        state.inFlight += 1
        state.claims += 1
        let (source, depth) = state.sources.choose()
        let start = state.pacer.start(
            bytes: loader.bytes(ofPiece: number, of: load.chunk), now: DispatchTime.now().uptimeNanoseconds)
        return .read(
            Piece(
                claim: state.claims, chunk: load.chunk, slot: load.slot, number: number, source: source, depth: depth,
                start: start))
    }

    /// Sleeps until a piece's time has come.
    ///
    /// - Returns: the time; nil if nobody wants the piece any more, which is given back then.
    private func waitForTime(of piece: Piece) -> UInt64? {
        let now = DispatchTime.now().uptimeNanoseconds
        if piece.start <= now { return now }
        let isUnwanted = { (state: State) in
            state.isStopping || state.isPaused || state.failedClaim < piece.claim
        }
        if monitor.sleep(until: piece.start, for: .pace, unless: isUnwanted) {
            return DispatchTime.now().uptimeNanoseconds
        }
        finish { state in
            let bytes = loader.bytes(ofPiece: piece.number, of: piece.chunk)
            state.sources.finish(piece.source, depth: piece.depth, bytes: 0, nanoseconds: 0)
            state.pacer.giveBack(bytes: bytes)
            if piece.slot == nil { state.unclaim(piece.chunk) }
        }
        return nil
    }

    // MARK: Reads

    private func read(_ piece: Piece, as reader: Int, since begin: UInt64) {
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

    /// Records the result of reading a piece.
    /// - Returns: for the last piece of a chunk, whether the chunk's bytes are already verified; nil for other pieces.
    private func account(for piece: Piece, _ outcome: Result<Void, LeafError>, nanoseconds: UInt64) -> Bool? {
        let (isLast, isVerified, isOver) = monitor.withLock { state -> (Bool, Bool, Bool) in
            let count = loader.bytes(ofPiece: piece.number, of: piece.chunk)
            switch outcome {
            case .success:
                state.sources.finish(piece.source, depth: piece.depth, bytes: count, nanoseconds: nanoseconds)
                state.pieces[piece.chunk].loaded |= 1 << UInt64(piece.source * 32 + piece.number)
                let pieces = state.pieces[piece.chunk]
                // The reader of the last piece finishes the chunk, and counts as in flight until then.
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

    /// Of several failures consumers get the first in order: they wait for all reads in flight before it.
    private func fail(_ state: inout State, _ claim: Int, _ error: LeafError) {
        guard claim < state.failedClaim else { return }
        (state.failedClaim, state.failure) = (claim, error)
        // Readers that wait for the time of a later piece need not wait any more.
        monitor.wakeAll(.pace)
    }

    private func unload(_ chunk: Int, slot: Int) {
        loader.unload(chunk, slot: slot)
        finish { $0.freeSlots.append(slot) }
    }

    /// Ends what a reader did beside reading.
    private func finish(_ body: (inout State) -> Void) {
        let isOver = monitor.withLock { state in
            body(&state)
            state.inFlight -= 1
            return state.inFlight == 0 && (state.isPaused || state.failure != nil)
        }
        if isOver { monitor.wakeAll(.loaded) }
    }
}
