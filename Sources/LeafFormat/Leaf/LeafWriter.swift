package import LeafSystem

/// Writes a model file so that a crash at any moment leaves either the whole file, or nothing that can be opened.
///
/// It uses two files beside the target: `TARGET.part` is the file without its header, and `TARGET.journal` names the
/// blocks that are durable in it. A later writer with the same `fingerprint` continues after the last of those blocks
/// and makes the same bytes. At the end it writes the header, opens the file as a check, and renames it. One thread
/// uses the writer; another may commit finished blocks meanwhile.
package final class LeafWriter {
    typealias Companion = OutputTarget.Companion

    package let path: String
    package let layout: LeafLayout
    package private(set) var start = Start.fresh
    /// The number of blocks in the file, and so the index of the next block.
    package private(set) var completedBlocks = 0
    private var sourceDigests: [UInt64] = []
    /// Bytes of the file so far.
    package var position: Int { end }

    /// Makes blocks durable.
    package let committer: BlockCommitter
    private let part: OutputFile
    private let contents: Contents
    private let packed: PageMemory
    private let packsWherePays: Bool
    private var chunks: [[LeafMetadata.ChunkRecord]] = []
    private var block: [[LeafMetadata.ChunkRecord]] = []
    private var end: Int

    /// Prepares the files beside `path` and writes the tokenizer's data.
    ///
    /// - Parameters:
    ///   - fingerprint: everything else that decides the bytes (source files, options). The contents count by
    ///     themselves.
    /// - Throws: `.usage` if the target exists and may not be replaced, `.io` if there is no space or no permission.
    package init(
        path: String, contents: Contents, fingerprint: String, options: Options = Options()
    ) throws(LeafError) {
        guard !FilePath.isDirectory(path) else {
            throw LeafError(.usage, "\(path) is a directory; give the name of a file")
        }
        let path = try OutputTarget.file(path, for: "a model file")
        let contents = try contents.packed()
        let layout = LeafLayout(
            shape: contents.shape, weights: contents.weights,
            vocabularyBytes: contents.vocabulary?.count, dictionaryBytes: contents.dictionary?.count,
            metadata: contents.metadata)
        guard layout.dataOffset <= SafetensorsHeader.maximumBytes else {
            throw LeafError(
                .usage,
                "\(path) would have a header of \(layout.dataOffset.sizeText), more than any reader takes; "
                    + "this model has too many parts")
        }
        self.path = path
        self.contents = contents
        self.layout = layout
        packed = try PageMemory(count: PackedChunk.roomBytes)
        packsWherePays = options.packsChunks
        end = layout.blocksOffset

        guard options.replacesExisting || !FilePath.exists(path) else {
            throw LeafError(
                .usage, "\(path) is there already; give another name, or replace it", advice: .setting("force"))
        }

        try OutputFile.checkIsIdle(path, besides: [.part, .journal])
        try OutputFile.checkMayBeReplaced(path)
        var resumption = try Resumption(
            path: path, layout, identity: contents.identity(fingerprint), options)
        part = try Self.ownPart(of: path, isBegun: resumption.isBegun, options.calls)
        part.takePermissions(of: path)
        committer = BlockCommitter(part: part)
        let (blocks, start) = try resumption.begin(part)
        self.start = start
        for entry in blocks { accept(entry) }
        committer.begin(resumption.journal, blocks: blocks.count, isConsuming: resumption.isConsuming)
        try part.truncate(to: completedBlocks > 0 ? end : 0)
        // If a run was interrupted after writing the header, the file becomes unfinished again.
        try part.write(OutputFile.unfinishedHead, at: 0)
        try checkSpace(freed: options.freedBytes)
        try writeTokenizer()
        try FilePath.synchronizeFolder(of: path)
    }

    /// Writes a resident tensor, or some of its rows. Bytes that are never written are zeros.
    ///
    /// - Parameters:
    ///   - name: as in `FileShape.residentTensors`.
    ///   - offset: the offset in the tensor, in bytes.
    package func write(_ name: String, _ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(LeafError) {
        guard let tensor = layout.tensor(name) else { throw LeafError(.badInput, "\(path) has no tensor \(name)") }
        precondition(offset >= 0 && offset + bytes.count <= tensor.byteCount)
        try part.write(bytes, at: tensor.offset + offset)
    }

    /// Begins the next matrix of the block with index `completedBlocks`.
    package func beginMatrix() { block.append([]) }

    /// Appends the next chunk of the current matrix, packed if that saves space.
    ///
    /// - Parameter bytes: units as `ChunkGeometry` cuts them.
    package func append(chunk bytes: UnsafeRawBufferPointer, outputCount: Int) throws(LeafError) {
        try append(PackedChunk(bytes, outputCount: outputCount, packs: packsChunks, room: packed.bytes))
    }

    /// Whether to pack chunks of block `completedBlocks` if that saves space.
    private var packsChunks: Bool { packsChunks(ofBlock: completedBlocks) }

    /// A matrix whose outputs are read one by one stays as it is.
    package func packsChunks(ofBlock block: Int) -> Bool {
        packsWherePays && !layout.shape.blocks[block].matrices.contains(where: \.isReadByOutput)
    }

    /// Appends the next chunk of the current matrix.
    package func append(_ chunk: PackedChunk) throws(LeafError) {
        precondition(!block.isEmpty)
        try part.writePages(chunk.bytes, at: end)
        end += chunk.bytes.count
        block[block.count - 1].append(chunk.record)
    }

    /// Ends a block. When this returns, the block is durable.
    ///
    /// - Parameter sourceDigest: the digest of the numbers that it was made from. The header has the digest of all of
    ///   these.
    package func endBlock(sourceDigest: UInt64) throws(LeafError) {
        try committer.commit([closeBlock(sourceDigest: sourceDigest)])
    }

    /// Ends a block that the caller must commit, in order, before it can finish the file.
    package func closeBlock(sourceDigest: UInt64) -> BlockCommitter.Block {
        let shape = layout.shape.blocks[completedBlocks]
        precondition(block.count == shape.matrices.count)
        let storedBytes = block.joined().reduce(0) { $0 + $1.paddedBytes }
        let closed = BlockCommitter.Block(
            chunks: block, scales: layout.scales(of: shape), sourceDigest: sourceDigest, begin: end - storedBytes,
            byteCount: storedBytes)
        chunks += block
        sourceDigests.append(sourceDigest)
        completedBlocks += 1
        block = []
        return closed
    }

    /// Writes the header, opens the file as a check, renames it and removes the journal.
    ///
    /// - Parameter named: called after renaming, before the journal is removed.
    /// - Returns: the finished file.
    package func finish(named: () throws(LeafError) -> Void = {}) throws(LeafError) -> LeafFile {
        precondition(committer.committedBlocks == layout.shape.blocks.count)
        try part.truncate(to: end)
        try part.synchronize()
        let input = try InputFile(path: part.path)
        var regions: [Region] = []
        for (name, offset, byteCount) in layout.regions {
            let digest = try input.digest(at: offset, count: byteCount)
            regions.append(Region(name: name, offset: offset, byteCount: byteCount, digest: digest))
        }
        try part.write(try layout.header(regions: regions, chunks: chunks, sourceDigests: sourceDigests), at: 0)
        try part.synchronize()
        _ = try open(part.path)
        try committer.noteFinished()
        try FilePath.rename(part.path, to: path)
        part.unlock()
        try named()
        try FilePath.remove(Companion.journal.path(of: path))
        return try open(path)
    }

    /// Opens the unfinished file, and locks it for who would give its name to something else.
    ///
    /// - Parameter isBegun: whether an earlier run may have worked on it.
    /// - Throws: `.usage` where it has another name, under which it would change, and work would be lost with it.
    private static func ownPart(
        of path: String, isBegun: Bool, _ calls: WriteCalls
    ) throws(LeafError) -> OutputFile {
        let path = Companion.part.path(of: path)
        let part = try OutputFile(path: path, calls: calls)
        try part.lock()
        guard part.hasOtherNames else { return part }
        guard !isBegun else { throw .hasOtherNames(path) }
        try OutputFile.requireUnfinished(path)
        try FilePath.remove(path)
        let own = try OutputFile(path: path, calls: calls)
        try own.lock()
        return own
    }

    private func open(_ path: String) throws(LeafError) -> LeafFile {
        var allowance = HeapAllowance.unlimited
        return try LeafFile.open(path: path, &allowance) { [layout] _, _ in layout.shape }
    }

    /// Whether a run that consumed its source got as far as renaming the file.
    ///
    /// - Parameter path: where links lead.
    package static func isNamed(_ path: String) throws(LeafError) -> Bool {
        let journal = Companion.journal.path(of: path)
        guard FilePath.exists(path), FilePath.exists(journal), !FilePath.exists(Companion.part.path(of: path)) else {
            return false
        }
        return try WriterJournal.read(journal).map { $0.isConsuming && $0.isFinished } ?? false
    }

    // MARK: -

    private func accept(_ entry: WriterJournal.Entry) {
        chunks += entry.chunks
        sourceDigests.append(entry.sourceDigest)
        completedBlocks += 1
        end += entry.storedBytes
    }

    /// - Parameter freed: like `Options.freedBytes`.
    private func checkSpace(freed: [Int]) throws(LeafError) {
        var needed = max(0, layout.maximumFileBytes - part.allocatedBytes)
        if !freed.isEmpty {
            // A block is committed, and its source is freed, while the next is written.
            let blocks = (completedBlocks..<freed.count).map { layout.maximumBytes(ofBlock: $0) }
            var taken = max(0, needed - blocks.reduce(0, +))
            needed = taken
            for (index, bytes) in blocks.enumerated() {
                taken += bytes
                needed = max(needed, taken)
                if index > 0 { taken -= freed[completedBlocks + index - 1] }
            }
        }
        let free = try FilePath.freeBytes(at: path)
        guard needed <= free else {
            throw LeafError(
                .io,
                "\(path) needs \(needed.diskText) more on its disk, where \(free.diskText) are free; "
                    + "free \((needed - free).diskText) or choose another place")
        }
    }

    private func writeTokenizer() throws(LeafError) {
        for (name, data) in [
            (LeafMetadata.vocabularyTensor, contents.vocabulary), (LeafMetadata.dictionaryTensor, contents.dictionary),
        ] {
            guard let data else { continue }
            try data.withUnsafeBufferPointer { (bytes) throws(LeafError) in
                try write(name, UnsafeRawBufferPointer(bytes))
            }
        }
    }
}
