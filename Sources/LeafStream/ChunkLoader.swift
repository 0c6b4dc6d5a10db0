internal import LeafFormat
internal import LeafSystem

/// Brings chunks from the file into memory. It alone owns the memory of weights.
///
/// Several readers read a chunk in pieces at the same time; the one that reads the last piece finishes the chunk.
final class ChunkLoader: Sendable {
    let file: LeafFile
    /// Those of the file's chunks that are loaded here.
    private let range: Range<Int>
    /// The mode in use; never `auto`.
    let mode: IOMode
    let meter = ReadMeter()
    /// The size of the pieces in which a chunk is read.
    let requestBytes: Int

    /// The file and its copies.
    private let sources: [Source]
    private let mapping: MappedFile?
    private let slotBytes: Int
    private let slots: PageMemory
    private let pinned: PageMemory
    /// The offset of each pinned chunk in `pinned`; -1 for other chunks.
    private let pinnedOffsets: [Int]

    private struct Source {
        /// Reads through the page cache: rows, and chunks in `buffered` mode.
        let buffered: ReadableFile
        let direct: ReadableFile?
    }

    init(
        file: LeafFile, range: Range<Int>, plan: MemoryPlan, reading: ReadingOptions, requestBytes: Int,
        system: SystemCalls
    ) throws(LeafError) {
        self.file = file
        self.range = range
        self.requestBytes = requestBytes
        let mode = reading.mode
        var sources: [Source] = []
        for path in reading.paths(of: file.path) {
            sources.append(try Self.open(path, file.chunks[range], mode, system))
        }
        // Both copies are read in the same way: past the page cache if both support that.
        if mode == .auto, sources.contains(where: { $0.direct == nil }) {
            sources = sources.map { Source(buffered: $0.buffered, direct: nil) }
        }
        self.sources = sources
        self.mode = mode == .auto ? (sources[0].direct == nil ? .buffered : .direct) : mode
        mapping =
            mode == .map
            ? try MappedFile(
                sources[0].buffered, count: file.chunks[range].map { $0.offset + $0.paddedBytes }.max() ?? 0,
                isGuarded: reading.guardsMapping, system: system)
            : nil

        // A raw chunk is used in the mapping. Only packed chunks need memory of their own.
        func needsMemory(_ chunk: Chunk) -> Bool { mode != .map || chunk.codec != .raw }
        var pinnedOffsets = [Int](repeating: -1, count: file.chunks.count)
        var pinnedBytes = 0
        for index in plan.pinnedChunks.map({ range.lowerBound + $0 }) where needsMemory(file.chunks[index]) {
            pinnedOffsets[index] = pinnedBytes
            pinnedBytes += file.chunks[index].slotBytes
        }
        self.pinnedOffsets = pinnedOffsets
        slotBytes = plan.slotBytes
        // Reserves addresses for slots even when everything is pinned, in case chunks leave later. Untouched pages cost
        // no memory.
        let slotCount = plan.slotCount > 0 ? plan.slotCount : MemoryPlan.preferredSlotCount
        slots = try PageMemory(
            count: file.chunks[range].contains(where: needsMemory) ? slotBytes * slotCount : 0, for: "weights",
            .reserved, system: system)
        pinned = try PageMemory(count: pinnedBytes, for: "weights", .reserved, system: system)
    }

    private static func open(
        _ path: String, _ chunks: ArraySlice<Chunk>, _ mode: IOMode, _ system: SystemCalls
    ) throws(LeafError) -> Source {
        let buffered: ReadableFile
        do throws(ReadFailure) {
            buffered = try ReadableFile(path: path, direct: false, system: system)
            let end = chunks.map { $0.offset + $0.paddedBytes }.max() ?? 0
            let size = try buffered.size()
            if size < end { throw .ends(at: size) }
        } catch {
            throw LeafError(.io, "\(path): \(error.sentence)")
        }
        guard mode.triesDirect else { return Source(buffered: buffered, direct: nil) }
        do throws(ReadFailure) {
            let direct = try ReadableFile.direct(path: path, probing: chunks.first?.offset ?? 0, system: system)
            return Source(buffered: buffered, direct: direct)
        } catch {
            guard mode == .direct else { return Source(buffered: buffered, direct: nil) }
            throw LeafError(
                .io, "\(path): this file system refuses direct reads (\(error.reason))",
                advice: .setting("io", ["buffered", "map"]))
        }
    }

    var sourceCount: Int { sources.count }
    /// Whether a chunk that leaves its slot has to be unloaded.
    var isMapped: Bool { mapping != nil }

    func pieceCount(of chunk: Int) -> Int {
        max(1, (file.chunks[chunk].paddedBytes + requestBytes - 1) / requestBytes)
    }

    func bytes(ofPiece piece: Int, of chunk: Int) -> Int {
        min(requestBytes, file.chunks[chunk].paddedBytes - piece * requestBytes)
    }

    /// Reads one piece of a chunk into its memory.
    ///
    /// - Parameter slot: the slot for the chunk; nil for a pinned chunk.
    func read(piece: Int, of index: Int, slot: Int?, from source: Int) throws(LeafError) {
        let chunk = file.chunks[index]
        let start = piece * requestBytes
        let count = bytes(ofPiece: piece, of: index)
        do throws(ReadFailure) {
            meter.begin()
            defer { meter.end(bytes: count) }
            if let mapping, chunk.codec == .raw {
                try mapping.populate(at: chunk.offset + start, count: count)
            } else {
                let room = room(of: index, slot: slot)
                let from = chunk.storedAt + start
                let target = UnsafeMutableRawBufferPointer(rebasing: room[from..<from + count])
                try (sources[source].direct ?? sources[source].buffered).fill(target, from: chunk.offset + start)
            }
        } catch {
            throw LeafError(.io, "\(label(of: index, in: source)): \(error.sentence)")
        }
    }

    /// Verifies and unpacks a chunk whose pieces have all been read.
    ///
    /// - Parameter isVerified: true if an earlier read checked the digest of these bytes.
    /// - Returns: `rawBytes` bytes.
    func finish(_ index: Int, slot: Int?, isVerified: Bool) throws(LeafError) -> UnsafeRawPointer {
        let chunk = file.chunks[index]
        let room = room(of: index, slot: slot)
        // Unpacking checks the digest again, which costs little in comparison.
        if !isVerified || chunk.codec != .raw {
            do throws(LeafError) {
                _ = try file.verifyAndUnpack(index, in: room)
            } catch {
                guard sources.count > 1, error.kind == .badInput else { throw error }
                throw LeafError(
                    .badInput, "\(error.description); a mirror was read as well, so verify both copies first")
            }
        }
        return address(of: index, slot: slot)
    }

    /// Where the bytes of a chunk are once it is finished.
    func address(of index: Int, slot: Int?) -> UnsafeRawPointer {
        UnsafeRawPointer(room(of: index, slot: slot).baseAddress!)
    }

    /// Frees the memory of a chunk that no consumer uses any more, so that its slot can take another.
    func unload(_ index: Int, slot: Int) {
        guard let mapping else { return }
        if file.chunks[index].codec == .raw {
            mapping.drop(file.chunks[index])
        } else {
            // The next chunk of this slot may be a mapped one, so free the slot's pages.
            slots.discard(at: slot * slotBytes, count: slotBytes)
        }
    }

    /// Removes a pinned chunk from memory; it may come back.
    func unpin(_ index: Int) {
        let chunk = file.chunks[index]
        if let mapping, chunk.codec == .raw {
            mapping.drop(chunk)
        } else {
            pinned.discard(at: pinnedOffsets[index], count: chunk.slotBytes)
        }
    }

    /// Reads any bytes of the file.
    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        do throws(ReadFailure) {
            meter.begin()
            defer { meter.end(bytes: target.count) }
            try sources[0].buffered.fill(target, from: offset)
        } catch {
            throw LeafError(.io, "\(file.path): \(target.count) bytes at byte \(offset): \(error.sentence)")
        }
    }

    /// - Throws: `.io` if mapped bytes that were in use could not be read: what was computed with them is worthless.
    func checkMapping() throws(LeafError) {
        guard let fault = mapping?.fault else { return }
        let sentence =
            switch fault {
            case .wasCut: "was cut short while it was in use; copy it or make it again"
            case .unreadable: "could not be read while it was in use (input/output error); check the disk"
            case .brokenMemory: "lies in memory that has failed; check the machine's memory"
            }
        throw LeafError(.io, "\(file.path) \(sentence)")
    }

    /// - Throws: `.io` if somebody wrote to a file since it was opened. Digests are checked when a chunk comes for the
    ///   first time; what is read again is taken as it is.
    func checkUnchanged() throws(LeafError) {
        for source in sources where !source.buffered.isUnchanged {
            throw LeafError(
                .io,
                "\(source.buffered.path) was written to while it was in use, so nothing more is computed with it; "
                    + "run the same command again when it is whole")
        }
    }

    /// The memory of a chunk: `slotBytes` bytes, or its mapped bytes.
    private func room(of index: Int, slot: Int?) -> UnsafeMutableRawBufferPointer {
        let chunk = file.chunks[index]
        if let mapping, chunk.codec == .raw { return mapping.bytes(of: chunk) }
        return if let slot {
            slots.bytes(at: slot * slotBytes, count: chunk.slotBytes)
        } else {
            pinned.bytes(at: pinnedOffsets[index], count: chunk.slotBytes)
        }
    }

    /// `MODEL.leaf: block 17 (layer 8, feed-forward), ...w_out.weight rows 1024-2047 at byte 123456`.
    private func label(of index: Int, in source: Int) -> String {
        let chunk = file.chunks[index]
        return
            "\(sources[source].buffered.path): \(file.blockName(ofChunk: index)) outputs \(chunk.firstOutput)-\(chunk.firstOutput + chunk.outputCount - 1) at byte \(chunk.offset)"
    }
}

/// A raw chunk is used where it is mapped.
extension MappedFile {
    fileprivate func bytes(of chunk: Chunk) -> UnsafeMutableRawBufferPointer {
        bytes(at: chunk.offset, count: chunk.paddedBytes)
    }

    fileprivate func drop(_ chunk: Chunk) { drop(at: chunk.offset, count: chunk.paddedBytes) }
}
