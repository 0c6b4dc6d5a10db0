package import LeafSystem

/// Writes a model file so that a crash at any moment leaves either the whole file, or nothing that can be opened.
///
/// It uses two files beside the target: `TARGET.part` is the file without its header, and `TARGET.journal` names the
/// blocks that are durable in it. A later writer with the same `fingerprint` continues after the last of those blocks
/// and makes the same bytes. At the end it writes the header, opens the file as a check, and renames it. One thread
/// uses the writer; another may commit finished blocks meanwhile.
package final class LeafWriter {
    /// The contents of the file besides the weights.
    package struct Contents: Sendable {
        /// Of a configuration within its limits.
        package var shape: FileShape
        package var weights: WeightFormat
        /// `vocab.txt`, unchanged; nil for a model that takes only ids.
        package var vocabulary: [UInt8]?
        /// The segmenter's data; nil for none.
        package var dictionary: [UInt8]?
        /// Strings for the header, such as `source` and `software`, except the writer's own keys.
        package var metadata: [(String, String)]

        package init(
            shape: FileShape, weights: WeightFormat, vocabulary: [UInt8]? = nil,
            dictionary: [UInt8]? = nil, metadata: [(String, String)] = []
        ) {
            self.shape = shape
            self.weights = weights
            self.vocabulary = vocabulary
            self.dictionary = dictionary
            self.metadata = metadata
        }
    }

    package struct Options: Sendable {
        /// Whether to replace an existing file.
        package var replacesExisting = false
        /// Whether to continue an interrupted run with the same contents.
        package var resumes = true
        /// A value that changes when the source's files change, even if the weights do not. It does not matter once
        /// they are consumed.
        package var stamp = ""
        /// Whether the source was partly consumed already, so that only the run that consumed it can continue.
        package var needsConsumedSource = false
        /// `freedBytes[b]`: disk space that deleting the source of block `b` gives back to the target's disk. Empty if
        /// nothing is deleted.
        package var freedBytes: [Int] = []
        /// Whether to pack chunks if that saves space. A file that is made for reading tests keeps every byte.
        package var packsChunks = true
        package var calls = WriteCalls()

        package init() {}
    }

    /// How a run began.
    package enum Start: Sendable, Equatable {
        case fresh
        /// This many blocks were there already.
        case resumed(blocks: Int)
        /// An unfinished file with other contents was discarded.
        case discarded
    }

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
    private let tensors: [String: TensorEntry]
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
        var contents = contents
        if let dictionary = contents.dictionary {
            let packed = try Self.pack(dictionary)
            contents.dictionary = packed ?? dictionary
            contents.metadata += [
                (LeafMetadata.Key.dictionaryCodec, (packed == nil ? ChunkCodec.raw : .lz4).rawValue),
                (LeafMetadata.Key.dictionaryBytes, "\(dictionary.count)"),
            ]
        }
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
        tensors = Dictionary(layout.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        packed = try PageMemory(count: PackedChunk.roomBytes)
        packsWherePays = options.packsChunks
        end = layout.blocksOffset

        guard options.replacesExisting || !FilePath.exists(path) else {
            throw LeafError(
                .usage, "\(path) is there already; give another name, or replace it", advice: .setting("force"))
        }

        let identity = Self.identity(contents, fingerprint)
        let stamp = ChunkDigest.of(Array(options.stamp.utf8))
        let hadPart = FilePath.exists(path + ".part")
        guard FilePath.exists(path + ".journal") || !options.needsConsumedSource else { throw Self.consumedElsewhere }
        // Opening the journal takes the lock. Nothing is changed before that.
        var journal = try WriterJournal(path: path + ".journal", calls: options.calls)
        let record = try WriterJournal.read(path + ".journal")
        guard record?.isConsuming == true || !options.needsConsumedSource else {
            throw record?.isDamaged == true ? Self.lostBlocks(path) : Self.consumedElsewhere
        }
        part = try OutputFile(path: path + ".part", calls: options.calls)
        committer = BlockCommitter(part: part)

        var trusted: [(entry: WriterJournal.Entry, end: Int)] = []
        var isConsuming = false
        if let record, record.isConsuming, record.identity != identity || options.needsConsumedSource {
            guard record.identity == identity, options.resumes else { throw Self.holdsTheOnlyCopy(path) }
            trusted = try trustedEntries(record.entries)
            guard trusted.count == record.entries.count, !record.isDamaged else { throw Self.lostBlocks(path) }
            try journal.resume(at: record.end)
            isConsuming = true
        } else if let record, hadPart, options.resumes, record.identity == identity, record.stamp == stamp {
            trusted = try trustedEntries(record.entries)
            if let last = trusted.last { try journal.resume(at: last.end) }
        }
        if trusted.isEmpty {
            try journal.begin(identity, stamp: stamp)
            let isOthers = record.map { $0.identity != identity || $0.stamp != stamp } ?? false
            start = isOthers && hadPart && part.allocatedBytes > 0 ? .discarded : .fresh
        } else {
            for (entry, _) in trusted { accept(entry) }
            start = .resumed(blocks: trusted.count)
        }
        committer.begin(journal, blocks: trusted.count, isConsuming: isConsuming)
        try part.truncate(to: completedBlocks > 0 ? end : 0)
        // If a run was interrupted after writing the header, the file becomes unfinished again.
        try part.write([UInt8](repeating: 0, count: 8), at: 0)
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
        guard let tensor = tensors[name] else { throw LeafError(.badInput, "\(path) has no tensor \(name)") }
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
            chunks: block, scales: scales(of: shape), sourceDigest: sourceDigest, begin: end - storedBytes,
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
        try named()
        try FilePath.remove(path + ".journal")
        return try open(path)
    }

    private func open(_ path: String) throws(LeafError) -> LeafFile {
        var allowance = HeapAllowance.unlimited
        return try LeafFile.open(path: path, &allowance) { [layout] _, _ in layout.shape }
    }

    /// Whether a run that consumed its source got as far as renaming the file.
    package static func isNamed(_ path: String) throws(LeafError) -> Bool {
        let hasJournal = FilePath.exists(path + ".journal") && !FilePath.exists(path + ".part")
        guard FilePath.exists(path), hasJournal else { return false }
        return try WriterJournal.read(path + ".journal").map { $0.isConsuming && $0.isFinished } ?? false
    }

    // MARK: -

    private func accept(_ entry: WriterJournal.Entry) {
        chunks += entry.chunks
        sourceDigests.append(entry.sourceDigest)
        completedBlocks += 1
        end += entry.storedBytes
    }

    /// Returns nil if packing does not save enough.
    private static func pack(_ dictionary: [UInt8]) throws(LeafError) -> [UInt8]? {
        guard !dictionary.isEmpty else { return nil }
        let room = try PageMemory(count: dictionary.count)
        return dictionary.withUnsafeBytes { LZ4Codec.compress($0, into: room.bytes) }.map { Array(room.bytes[0..<$0]) }
    }

    private static func identity(_ contents: Contents, _ fingerprint: String) -> UInt64 {
        var text = [fingerprint, contents.shape.configuration, contents.weights.rawValue]
        text += contents.metadata.map { "\($0)=\($1)" }
        text += [contents.vocabulary, contents.dictionary].map { $0.map { ChunkDigest.of($0).hexDigits } ?? "none" }
        return ChunkDigest.of(Array(text.joined(separator: "\u{0}").utf8))
    }

    /// The blocks of an interrupted run that are really on the disk.
    ///
    /// Each block was synced before the journal named it, so after a crash only the last could be missing. The last two
    /// blocks and all scales are read again. If the file does not match the journal, everything from there on is
    /// written again.
    private func trustedEntries(
        _ named: [(entry: WriterJournal.Entry, end: Int)]
    ) throws(LeafError) -> [(entry: WriterJournal.Entry, end: Int)] {
        var entries = named
        let input = try InputFile(path: part.path)
        var begins: [Int] = []
        var offset = end
        for ((entry, _), shape) in zip(entries, layout.shape.blocks) {
            guard isPlausible(entry, for: shape), offset + entry.storedBytes <= input.byteCount else { break }
            begins.append(offset)
            offset += entry.storedBytes
        }
        entries.removeLast(entries.count - begins.count)
        for (index, (entry, _)) in entries.enumerated() {
            let scales = scales(of: layout.shape.blocks[index])
            guard try input.digest(of: scales) == entry.scalesDigest else {
                entries.removeLast(entries.count - index)
                break
            }
        }
        while !entries.isEmpty {
            let suspects = max(0, entries.count - 2)..<entries.count
            var damaged: Int?
            for index in suspects where damaged == nil {
                if try !isIntact(entries[index].entry, at: begins[index], in: input) { damaged = index }
            }
            guard let damaged else { break }
            entries.removeLast(entries.count - damaged)
        }
        return entries
    }

    private func isPlausible(_ entry: WriterJournal.Entry, for shape: FileShape.Block) -> Bool {
        guard entry.chunks.count == shape.matrices.count else { return false }
        return zip(entry.chunks, shape.matrices).allSatisfy { chunks, matrix in
            let geometry = ChunkGeometry(matrix)
            return chunks.map(\.outputCount) == (0..<geometry.chunkCount).map { geometry.outputs(ofChunk: $0).count }
                && chunks.allSatisfy { (1...geometry.bytes(outputs: $0.outputCount)).contains($0.storedBytes) }
        }
    }

    private func isIntact(
        _ entry: WriterJournal.Entry, at begin: Int, in input: InputFile
    ) throws(LeafError) -> Bool {
        var offset = begin
        for record in entry.chunks.joined() {
            guard try input.digest(at: offset, count: record.paddedBytes) == record.digest else { return false }
            offset += record.paddedBytes
        }
        return true
    }

    /// The ranges of a block's scales in the file.
    private func scales(of block: FileShape.Block) -> [Range<Int>] {
        block.matrices.compactMap { matrix in
            tensors[FileShape.scaleName(of: matrix.name)].map { $0.offset..<$0.offset + $0.byteCount }
        }
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

    private static let consumedElsewhere = LeafError(
        .badInput,
        "the checkpoint lacks what an interrupted conversion that consumes it has put into another file already; "
            + "only that conversion can go on")

    private static func holdsTheOnlyCopy(_ path: String) -> LeafError {
        LeafError(
            .usage,
            "\(path).part is the unfinished work of a conversion that consumed its source, and the only copy of what that has deleted; "
                + "run that command again, or remove \(path).part and \(path).journal")
    }

    private static func lostBlocks(_ path: String) -> LeafError {
        LeafError(
            .badInput,
            "\(path).part does not hold what \(path).journal says, and its source was consumed; "
                + "get the checkpoint again and remove both files")
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
