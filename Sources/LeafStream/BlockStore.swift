package import LeafFormat
package import LeafSystem

/// Chunks of one model, swept over and over by a fixed number of consumers, inside the plan.
///
/// Each of the `consumers` threads leases every chunk exactly once a sweep, in the sweep's order and at its own pace; a
/// pinned chunk and a streamed one look the same. Readers keep up to `RequestShape.depth` reads in flight as long as a
/// slot is free, and go on from the last chunk of one sweep to the first of the next, so the disk never rests between
/// sweeps. Reading begins when the store is made. Nothing is allocated after that.
package final class BlockStore: Sendable {
    /// The mode in use; never `auto`.
    package var mode: IOMode { loader.mode }

    private let loader: ChunkLoader
    private let readAhead: ReadAhead
    private let readers: ThreadGroup

    /// - Parameters:
    ///   - chunks: which of the file's chunks are swept, by their indices; all of them when it is nil.
    ///   - plan: made from just these chunks.
    ///   - order: which way each sweep goes, a pattern that repeats. Where it turns, a sweep begins with the chunks
    ///     that the last one ended with; they are not read again as long as they are in a slot. Not empty.
    ///   - consumers: how many threads lease every chunk.
    ///   - trace: records reads and waits.
    /// - Throws: `.io` or `.badInput` if a file cannot be opened or is shorter than its table says, `.budget` if the
    ///   system refuses the memory, `.usage` for a mirror together with `map`.
    package convenience init(
        file: LeafFile, chunks: Range<Int>? = nil, plan: MemoryPlan, order: [SweepDirection] = [.forward],
        reading: ReadingOptions = ReadingOptions(), consumers: Int, trace: TraceRecorder? = nil
    ) throws(LeafError) {
        try self.init(
            file: file, chunks: chunks, plan: plan, order: order, reading: reading, consumers: consumers, system: .real,
            trace: trace)
    }

    package init(
        file: LeafFile, chunks: Range<Int>? = nil, plan: MemoryPlan, order: [SweepDirection] = [.forward],
        reading: ReadingOptions, request: RequestShape = .suited(), consumers: Int, system: SystemCalls,
        trace: TraceRecorder? = nil
    ) throws(LeafError) {
        let range = chunks ?? file.chunks.indices
        precondition(range.lowerBound >= 0 && range.upperBound <= file.chunks.count && plan.chunkCount == range.count)
        precondition(consumers > 0 && !order.isEmpty)
        if reading.mirror != nil, reading.mode == .map {
            throw LeafError(
                .usage, "a mirror cannot be mapped beside the model", advice: .setting("io", ["direct", "buffered"]))
        }
        let loader = try ChunkLoader(
            file: file, range: range, plan: plan, reading: reading, requestBytes: request.bytes, system: system)
        let readAhead = ReadAhead(
            loader: loader, plan: plan, order: SweepOrder(chunks: range, pattern: order), consumers: consumers,
            maxBytesPerSecond: reading.maxBytesPerSecond, trace: trace)
        self.loader = loader
        self.readAhead = readAhead
        readers = ThreadGroup(system: system)
        // The loops hold the memory, not the store, so `deinit` can stop them and nothing is freed during a read.
        let pieces = range.reduce(0) { $0 + loader.pieceCount(of: $1) }
        for reader in 0..<min(request.depth, max(1, pieces)) {
            try readers.start { readAhead.run(as: reader) }
        }
    }

    // Also after an `init` that could not start all readers.
    deinit {
        readAhead.stop()
        readers.wait()
    }

    /// Waits until the chunk is there, verified and unpacked.
    ///
    /// A consumer may hold several leases, as long as it ends them before it waits for a chunk `slotCount` or more
    /// streamed chunks ahead. Where the sweep turns, all consumers end their lease of a chunk before one of them asks
    /// for it again.
    ///
    /// - Parameters:
    ///   - chunk: its index in the file, one of the chunks that this store sweeps.
    ///   - consumer: its number, for a timeline.
    /// - Throws: `.cancelled` where it would have to wait after `interrupt()`; else an error that names matrix, rows,
    ///   offset and reason. All consumers get the same error for the same chunk; afterwards the store is dead: every
    ///   later call throws it again.
    package func lease(_ chunk: Int, consumer: Int = 0) throws(LeafError) -> ChunkLease {
        try ChunkLease(of: chunk, in: readAhead, consumer: consumer)
    }

    /// A chunk that is pinned, for a second model that computes between two sweeps. It waits for nothing and leaves the
    /// sweep as it is.
    ///
    /// While such a lease lasts, nobody calls `settle()`.
    ///
    /// - Throws: `.cancelled` if the chunk is not in memory, where it is only as long as nobody needs the room more.
    package func borrow(_ chunk: Int) throws(LeafError) -> ChunkLease {
        try ChunkLease(borrowing: chunk, from: readAhead)
    }

    /// To be called between blocks and after the last, while no consumer holds or waits for a chunk: carries out what
    /// `want(pinnedBytes:)` and `allow(pinnedBytes:)` asked for, as far as that is possible now.
    ///
    /// - Throws: `.io` if bytes of a guarded mapping that were used since the last call were not the file's any more:
    ///   discard everything computed since then.
    package func settle() throws(LeafError) {
        try loader.checkMapping()
        readAhead.settleResidency()
    }

    /// To be called behind the last block of a sweep, where `settle()` is.
    ///
    /// - Throws: `.io` if somebody wrote to the file: discard everything computed since the last call.
    package func checkUnchanged() throws(LeafError) { try loader.checkUnchanged() }

    // MARK: Stopping

    /// Ends all waiting for the disk: from now on `lease` throws `.cancelled` where it would have to wait, and does so
    /// at once where it waits already. Chunks that are there are still leased.
    ///
    /// It may be called from any thread at any time and stays in force until `abandonSweep()` or `resume()`. If sweeps
    /// of several owners follow each other, one that cancels must not hit the next one's sweep: calls of `interrupt()`
    /// and `resume()` then belong under one lock of the caller, with the note of whose sweep is under way.
    package func interrupt() { readAhead.interrupt() }

    /// Takes `interrupt()` back, before a sweep begins.
    package func resume() { readAhead.resume() }

    /// Stops in the middle of a sweep: the next `lease` is of the first chunk of the pattern again. Reads that wait for
    /// their time under a limited rate are dropped, so this takes as long as the reads that the kernel has begun. It
    /// ends what `interrupt()` began. No consumer may hold or wait for a chunk.
    package func abandonSweep() { readAhead.abandonSweep() }

    // MARK: The working set

    /// Bytes of chunks that may leave memory: all that the plan pinned, except chunks that no slot can hold.
    package var movableBytes: Int { readAhead.residency.maximum }
    /// How many of them were asked for; all of them at first.
    package var wantedPinnedBytes: Int { readAhead.residency.askedBytes }
    /// How many of them are meant to stay now: what was asked for, as far as it is allowed.
    package var allowedPinnedBytes: Int { readAhead.residency.wantedBytes }

    /// Bytes that a sweep reads while no chunk leaves or enters memory.
    package var streamedBytesPerSweep: Int { readAhead.streamedBytesPerSweep }

    /// Asks for more or less of the model in memory, from any thread; `settle` carries it out. If everything was
    /// pinned, the first chunks that leave make room for slots, and that room does not come back.
    package func want(pinnedBytes: Int) { readAhead.residency.ask(for: pinnedBytes) }

    /// Limits what `want(pinnedBytes:)` gets, for the sake of other programs; what was asked for is not forgotten.
    package func allow(pinnedBytes: Int) { readAhead.residency.allow(pinnedBytes) }

    // MARK: Beside the sweep

    /// Reads any bytes of the file (resident tensors, rows of the token table), past the sweep and without waiting for
    /// a limited rate; copies them where they are pinned. These bytes are not checked here: the token table's chunks
    /// are when the sweep comes to them, and `LeafFile.regions` has digests for the rest.
    package func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        if !readAhead.copyPinned(at: offset, into: target) { try loader.read(at: offset, into: target) }
    }

    /// Copies bytes that lie in one pinned chunk; false if they do not, or if that chunk is not loaded.
    package func copyPinned(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        readAhead.copyPinned(at: offset, into: target)
    }

    package var counters: Counters { readAhead.counters }

    /// Where consumers and readers are now; any thread may ask.
    package var position: SweepView { readAhead.position }
}
