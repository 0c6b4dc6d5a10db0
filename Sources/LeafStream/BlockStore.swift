internal import Dispatch
public import LeafFormat

/// The chunks of one model, swept over and over in file order by a fixed number of consumers, inside the plan.
///
/// Each of the `consumers` threads acquires every chunk exactly once a sweep, in order and at its own pace, and releases
/// it; a pinned chunk and a streamed one look the same. Readers keep up to `RequestShape.depth` reads in flight as long as a slot
/// is free, and go on from the last chunk of one sweep to the first of the next, so the disk never rests between sweeps.
/// Reading begins when the store is made. Nothing is allocated after that.
public final class BlockStore: Sendable {
    /// The mode that runs; never `auto`.
    public var mode: IOMode { loader.mode }

    private let loader: ChunkLoader
    private let readAhead: ReadAhead
    private let readers = DispatchGroup()

    /// - Parameters:
    ///   - plan: made from the same file's chunks.
    ///   - consumers: how many threads acquire every chunk.
    ///   - trace: is told of reads and waits.
    /// - Throws: `.io` or `.badInput` when a file cannot be opened or is shorter than its table says, `.budget` when the
    ///   system refuses the memory, `.usage` for a mirror beside `map`.
    public convenience init(
        file: LeafFile, plan: MemoryPlan, reading: ReadingOptions = ReadingOptions(), consumers: Int,
        trace: TraceRecorder? = nil
    ) throws(LeafError) {
        try self.init(
            file: file, plan: plan, reading: reading, consumers: consumers, system: .real, trace: trace)
    }

    package init(
        file: LeafFile, plan: MemoryPlan, reading: ReadingOptions, request: RequestShape = .suited(), consumers: Int,
        system: SystemCalls, trace: TraceRecorder? = nil
    ) throws(LeafError) {
        precondition(plan.chunkCount == file.chunks.count && consumers > 0)
        if reading.mirror != nil, reading.mode == .map {
            throw LeafError(.usage, "a mirror cannot be mapped beside the model; use --io direct or buffered")
        }
        let loader = try ChunkLoader(
            file: file, plan: plan, reading: reading, requestBytes: request.bytes, system: system)
        let readAhead = ReadAhead(
            loader: loader, plan: plan, consumers: consumers, maxBytesPerSecond: reading.maxBytesPerSecond,
            trace: trace)
        self.loader = loader
        self.readAhead = readAhead
        // The loops hold the memory, not the store: `deinit` can stop them, and nothing is freed under a read.
        // A serial queue each: Dispatch gives those a thread whatever the other queues do.
        let pieces = file.chunks.indices.reduce(0) { $0 + loader.pieceCount(of: $1) }
        for reader in 0..<min(request.depth, max(1, pieces)) {
            DispatchQueue(label: "leafcutter.reader.\(reader)", qos: .userInitiated).async(group: readers) {
                readAhead.run(as: reader)
            }
        }
    }

    deinit {
        readAhead.stop()
        readers.wait()
    }

    /// Waits until the chunk is there, verified and unpacked.
    ///
    /// A consumer may hold several chunks, as long as it releases what it acquired before it waits for a chunk
    /// `slotCount` or more streamed chunks ahead.
    ///
    /// - Parameter consumer: its number, for a timeline.
    /// - Returns: `rawBytes` bytes, page-aligned, valid until this consumer releases the chunk.
    /// - Throws: naming matrix, rows, offset and reason. All consumers get the same error for the same chunk; afterwards
    ///   the store is dead: every later call throws it again.
    public func acquire(_ chunk: Int, consumer: Int = 0) throws(LeafError) -> UnsafeRawBufferPointer {
        try readAhead.acquire(chunk, consumer: consumer)
    }

    public func release(_ chunk: Int) { readAhead.release(chunk) }

    /// To be called between blocks and after the last, while no consumer holds or waits for a chunk: carries out what
    /// `want(pinnedBytes:)` asked for, as far as that is possible now.
    ///
    /// - Throws: `.io` if bytes that were used since the last call were not the file's any more: throw away what was
    ///   computed.
    public func settle() throws(LeafError) {
        try loader.checkMapping()
        readAhead.settleResidency()
    }

    /// Bytes of chunks that may leave memory: what the plan pinned, but for chunks that no slot can hold.
    public var movableBytes: Int { readAhead.residency.maximum }
    /// How many of them are meant to stay now.
    public var wantedPinnedBytes: Int { readAhead.residency.wantedBytes }

    /// What a sweep reads as long as everything stays where it is.
    public var streamedBytesPerSweep: Int { readAhead.streamedBytesPerSweep }

    /// Asks for more or less of the model in memory, from any thread; `settle` carries it out. Where everything was
    /// pinned, the first to leave make room for slots, and only that much comes back.
    public func want(pinnedBytes: Int) { readAhead.residency.want(bytes: pinnedBytes) }

    /// Stops in the middle of a sweep: the next `acquire` is for chunk 0 again. No consumer may hold or wait for a chunk.
    public func abandonSweep() { readAhead.abandonSweep() }

    /// Reads any bytes of the file (resident tensors, rows of the token table), past the sweep; copies them where they
    /// are pinned. These bytes are not checked here: the token table's chunks are when the sweep comes to them,
    /// and `LeafFile.regions` has digests for the rest.
    public func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        if !readAhead.copyPinned(at: offset, into: target) { try loader.read(at: offset, into: target) }
    }

    /// Copies bytes that lie in one pinned chunk; false when they do not, or are not there.
    package func copyPinned(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        readAhead.copyPinned(at: offset, into: target)
    }

    public var counters: Counters { readAhead.counters }
}
