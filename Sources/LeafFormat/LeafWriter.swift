/// Writes a model file so that a crash at any moment leaves either nothing that opens, or the whole file.
///
/// Beside the target lie `TARGET.part`, the file without its header, and `TARGET.journal`, which names the blocks that are
/// safely in it. A later writer of the same `fingerprint` goes on behind the last of them and makes the same bytes. At the
/// end the header is written, the file checked by opening it, and renamed. Used from one thread; finished blocks may be
/// committed on another, while the next are written.
public final class LeafWriter {
    /// What is put into the file beside the weights.
    public struct Contents: Sendable {
        /// Of a configuration within its limits.
        public var shape: FileShape
        public var weights: WeightFormat
        /// `vocab.txt`, verbatim; nil for a model that takes ids only.
        public var vocabulary: [UInt8]?
        /// The segmenter's data; nil for none.
        public var dictionary: [UInt8]?
        /// Strings for the header: `source`, `software`, ... The writer's own keys are not to be among them.
        public var metadata: [(String, String)]

        public init(
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

    public struct Options: Sendable {
        /// Replace a file that is there.
        public var replacesExisting = false
        /// Go on with an interrupted writing of the same contents.
        public var resumes = true
        /// Changes with the source's files, though the weights may stay the same; does not matter once they are consumed.
        package var stamp = ""
        /// Whether the source was found partly consumed, so that only the writing that did it can go on.
        package var needsConsumedSource = false
        /// What the target's disk gets back once a block is committed, by block; empty for nothing.
        package var freedBytes: [Int] = []
        /// Store a chunk packed where that pays. A file that is made to be read keeps every byte.
        public var packsChunks = true
        package var calls = WriteCalls()

        public init() {}
    }

    /// How the writing began.
    public enum Start: Sendable, Equatable {
        case fresh
        /// That many blocks were there already.
        case resumed(blocks: Int)
        /// There was an unfinished file of other contents.
        case discarded
    }

    public let path: String
    public let layout: LeafLayout
    public private(set) var start = Start.fresh
    /// Blocks that are in the file; the next to write has this index.
    public private(set) var completedBlocks = 0
    private var sourceDigests: [UInt64] = []
    /// Bytes of the file so far, without what is still to come.
    public var position: Int { end }

    /// Makes blocks safe.
    package let committer: BlockCommitter
    private let part: OutputFile
    private let contents: Contents
    private let packed: AlignedBuffer
    private let packsWherePays: Bool
    private let tensors: [String: TensorEntry]
    private var chunks: [[LeafMetadata.ChunkRecord]] = []
    private var block: [[LeafMetadata.ChunkRecord]] = []
    private var end: Int

    /// Prepares the files beside `path` and writes the tokenizer's data.
    ///
    /// - Parameters:
    ///   - fingerprint: whatever else the bytes depend on (source files, options); contents count by themselves.
    /// - Throws: `.usage` if the target is there and may not be replaced, `.io` if there is no room or no permission.
    public init(
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
        packed = try AlignedBuffer(count: PackedChunk.roomBytes)
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
        // Opening the journal takes the lock; nothing is touched before.
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
        // A file that was interrupted behind its header is unfinished again.
        try part.write([UInt8](repeating: 0, count: 8), at: 0)
        try checkSpace(freed: options.freedBytes)
        try writeTokenizer()
        try FilePath.synchronizeFolder(of: path)
    }

    /// Writes a resident tensor, or some of its rows. Bytes that are never written are zeros.
    ///
    /// - Parameters:
    ///   - name: as in `FileShape.residentTensors`.
    ///   - offset: bytes from the start of the tensor.
    public func write(_ name: String, _ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(LeafError) {
        guard let tensor = tensors[name] else { throw LeafError(.badInput, "\(path) has no tensor \(name)") }
        precondition(offset >= 0 && offset + bytes.count <= tensor.byteCount)
        try part.write(bytes, at: tensor.offset + offset)
    }

    /// Begins the next matrix of the block with index `completedBlocks`.
    public func beginMatrix() { block.append([]) }

    /// Appends the next chunk of the matrix begun last, packed if that pays.
    ///
    /// - Parameter bytes: units as `ChunkGeometry` cuts them.
    public func append(chunk bytes: UnsafeRawBufferPointer, outputCount: Int) throws(LeafError) {
        try append(PackedChunk(bytes, outputCount: outputCount, packs: packsChunks, room: packed.bytes))
    }

    /// Whether chunks of the block with index `completedBlocks` are to be packed if that pays.
    private var packsChunks: Bool { packsChunks(ofBlock: completedBlocks) }

    /// A matrix whose outputs are read one by one stays as it is.
    package func packsChunks(ofBlock block: Int) -> Bool {
        packsWherePays && !layout.shape.blocks[block].matrices.contains(where: \.isReadByOutput)
    }

    /// Appends the next chunk of the matrix begun last.
    package func append(_ chunk: PackedChunk) throws(LeafError) {
        precondition(!block.isEmpty)
        try part.writePages(chunk.bytes, at: end)
        end += chunk.bytes.count
        block[block.count - 1].append(chunk.record)
    }

    /// Ends a block: when this returns, it survives a crash.
    ///
    /// - Parameter sourceDigest: of the numbers it was made from; the header tells the digest of them all.
    public func endBlock(sourceDigest: UInt64) throws(LeafError) {
        try committer.commit([closeBlock(sourceDigest: sourceDigest)])
    }

    /// Ends a block that is to be committed, in its turn, before the file can be finished.
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

    /// Writes the header, checks the file by opening it, gives it its name and removes the journal.
    ///
    /// - Parameter named: called when the file has its name, before the journal is removed.
    /// - Returns: the finished file.
    public func finish(named: () throws(LeafError) -> Void = {}) throws(LeafError) -> LeafFile {
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
        try LeafFile.open(path: path) { [layout] _, _ in layout.shape }
    }

    /// Whether a writing that consumed its source got as far as giving the file its name.
    package static func isNamed(_ path: String) throws(LeafError) -> Bool {
        guard FilePath.exists(path), FilePath.exists(path + ".journal"), !FilePath.exists(path + ".part") else {
            return false
        }
        return try WriterJournal.read(path + ".journal").map { $0.isConsuming && $0.isFinished } ?? false
    }

    // MARK: -

    private func accept(_ entry: WriterJournal.Entry) {
        chunks += entry.chunks
        sourceDigests.append(entry.sourceDigest)
        completedBlocks += 1
        end += entry.storedBytes
    }

    /// Nil if packing does not pay.
    private static func pack(_ dictionary: [UInt8]) throws(LeafError) -> [UInt8]? {
        guard !dictionary.isEmpty else { return nil }
        let room = try AlignedBuffer(count: dictionary.count)
        return dictionary.withUnsafeBytes { LZ4Codec.compress($0, into: room.bytes) }.map { Array(room.bytes[0..<$0]) }
    }

    private static func identity(_ contents: Contents, _ fingerprint: String) -> UInt64 {
        var text = [fingerprint, contents.shape.configuration, contents.weights.rawValue]
        text += contents.metadata.map { "\($0)=\($1)" }
        text += [contents.vocabulary, contents.dictionary].map { $0.map { ChunkDigest.of($0).hexDigits } ?? "none" }
        return ChunkDigest.of(Array(text.joined(separator: "\u{0}").utf8))
    }

    /// The blocks of an interrupted writing that really are on the disk.
    ///
    /// Each was brought there before the journal named it, so only the last could be missing after a crash. The last two are
    /// read again, and the scales of all; if the file is not what the journal says, all that follows is written again.
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

    /// Where the row scales of a block lie.
    private func scales(of block: FileShape.Block) -> [Range<Int>] {
        block.matrices.compactMap { matrix in
            tensors[FileShape.scaleName(of: matrix.name)].map { $0.offset..<$0.offset + $0.byteCount }
        }
    }

    /// - Parameter freed: as in `Options.freedBytes`.
    private func checkSpace(freed: [Int]) throws(LeafError) {
        var needed = max(0, layout.maximumFileBytes - part.allocatedBytes)
        if !freed.isEmpty {
            // A block is committed, and its source given back, while the next is written.
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
                "\(path) needs \(needed.sizeText) more on its disk, where \(free.sizeText) are free; "
                    + "free \((needed - free).sizeText) or choose another place")
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

extension InputFile {
    /// The digest of ranges, one behind the other.
    func digest(of ranges: [Range<Int>]) throws(LeafError) -> UInt64 {
        var digest = try ChunkDigest()
        for range in ranges {
            try bytes(at: range.lowerBound, count: range.count).withUnsafeBytes { digest.update($0) }
        }
        return digest.value
    }

    /// The digest of a range, read in pieces of 1 MiB.
    package func digest(at offset: Int, count: Int) throws(LeafError) -> UInt64 {
        let buffer = try AlignedBuffer(count: min(count, 1 << 20))
        var digest = try ChunkDigest()
        var done = 0
        while done < count {
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<min(count - done, buffer.bytes.count)])
            try read(at: offset + done, into: piece)
            digest.update(UnsafeRawBufferPointer(piece))
            done += piece.count
        }
        return digest.value
    }
}
