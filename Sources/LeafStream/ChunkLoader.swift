internal import LeafFormat

/// Brings chunks from the file to where they are used: the one place of this target that owns weights' memory.
final class ChunkLoader: Sendable {
    let file: LeafFile
    /// The mode that runs; never `auto`.
    let mode: IOMode
    let meter = ReadMeter()
    private let trace: TraceRecorder?

    /// Through the page cache: rows, and chunks in `buffered` mode.
    private let buffered: ReadableFile
    private let direct: ReadableFile?
    private let mapping: MappedFile?
    private let slotBytes: Int
    private let slots: Slab
    private let pinned: Slab
    /// Where each pinned chunk begins in `pinned`; -1 for the others.
    private let pinnedOffsets: [Int]

    init(file: LeafFile, plan: MemoryPlan, mode: IOMode, system: SystemCalls, trace: TraceRecorder?) throws(LeafError) {
        self.file = file
        self.trace = trace
        do throws(ReadFailure) {
            buffered = try ReadableFile(path: file.path, direct: false, system: system)
            let end = file.chunks.map { $0.offset + $0.paddedBytes }.max() ?? 0
            let size = try buffered.size()
            if size < end { throw .ends(at: size) }
        } catch {
            throw LeafError(.io, "\(file.path): \(error.sentence)")
        }
        var direct: ReadableFile?
        if mode == .direct || mode == .auto {
            do throws(ReadFailure) {
                direct = try .direct(path: file.path, probing: file.chunks.first?.offset ?? 0, system: system)
            } catch {
                if mode == .direct {
                    throw LeafError(
                        .io,
                        "\(file.path): this file system refuses direct reads (\(error.reason)); use --io buffered or map"
                    )
                }
            }
        }
        self.direct = direct
        self.mode = mode == .auto ? (direct == nil ? .buffered : .direct) : mode
        mapping = mode == .map ? try MappedFile(buffered, chunks: file.chunks, system: system) : nil

        // A mapped chunk lies in the mapping; only what has to be unpacked needs memory of its own.
        func needsMemory(_ chunk: Chunk) -> Bool { mode != .map || chunk.codec != .raw }
        var pinnedOffsets = [Int](repeating: -1, count: file.chunks.count)
        var pinnedBytes = 0
        for index in plan.pinnedChunks where needsMemory(file.chunks[index]) {
            pinnedOffsets[index] = pinnedBytes
            pinnedBytes += file.chunks[index].slotBytes
        }
        self.pinnedOffsets = pinnedOffsets
        slotBytes = plan.slotBytes
        slots = try Slab(count: file.chunks.contains(where: needsMemory) ? plan.slotsBytes : 0, system: system)
        pinned = try Slab(count: pinnedBytes, system: system)
    }

    /// Reads, verifies and unpacks one chunk.
    ///
    /// - Parameters:
    ///   - slot: the slot that the chunk may use; nil for a pinned one.
    ///   - isVerified: the digest has been checked by an earlier read.
    ///   - reader: whose line of a timeline it is.
    /// - Returns: `rawBytes` bytes.
    func load(_ index: Int, slot: Int?, isVerified: Bool, reader: Int) throws(LeafError) -> UnsafeRawPointer {
        let chunk = file.chunks[index]
        let room: UnsafeMutableRawBufferPointer
        do throws(ReadFailure) {
            let begin = TraceRecorder.now(trace)
            meter.begin()
            defer {
                meter.end(bytes: chunk.paddedBytes)
                trace?.record(.read, on: .reader(reader), since: begin, index)
            }
            if let mapping, chunk.codec == .raw {
                room = try mapping.populate(chunk)
            } else {
                room =
                    if let slot {
                        slots.bytes(at: slot * slotBytes, count: chunk.slotBytes)
                    } else {
                        pinned.bytes(at: pinnedOffsets[index], count: chunk.slotBytes)
                    }
                let stored = UnsafeMutableRawBufferPointer(rebasing: room[chunk.storedAt..<chunk.slotBytes])
                try (direct ?? buffered).fill(stored, from: chunk.offset)
            }
        } catch {
            throw LeafError(.io, "\(place(of: index)): \(error.sentence)")
        }
        // Unpacking checks the digest again; it costs little beside it.
        if !isVerified || chunk.codec != .raw { _ = try file.verifyAndUnpack(index, in: room) }
        return UnsafeRawPointer(room.baseAddress!)
    }

    /// The chunk is used by nobody any more and its slot will take another.
    func unload(_ index: Int, slot: Int) {
        guard let mapping else { return }
        if file.chunks[index].codec == .raw {
            mapping.drop(file.chunks[index])
        } else {
            // The next chunk of this slot's share may be a mapped one.
            slots.discard(at: slot * slotBytes, count: slotBytes)
        }
    }

    /// Reads any bytes of the file.
    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        do throws(ReadFailure) {
            meter.begin()
            defer { meter.end(bytes: target.count) }
            try buffered.fill(target, from: offset)
        } catch {
            throw LeafError(.io, "\(file.path): \(target.count) bytes at byte \(offset): \(error.sentence)")
        }
    }

    /// `MODEL.leaf: block 17 (layer 8, feed-forward), ...w_out.weight rows 1024-2047 at byte 123456`.
    private func place(of index: Int) -> String {
        let chunk = file.chunks[index]
        return
            "\(file.path): \(file.blockName(ofChunk: index)) rows \(chunk.firstRow)-\(chunk.firstRow + chunk.rowCount - 1) at byte \(chunk.offset)"
    }
}
