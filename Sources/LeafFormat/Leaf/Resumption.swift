import LeafSystem

/// What an interrupted run left beside a model's path, and whether a run may go on with it.
struct Resumption {
    private let path: String
    private let layout: LeafLayout
    private let options: LeafWriter.Options
    private let identity: UInt64
    private let stamp: UInt64
    private let record: WriterJournal.Record?
    private let hadPart: Bool
    /// Locked against another run.
    private(set) var journal: WriterJournal
    /// Whether the run goes on that consumed its source.
    private(set) var isConsuming = false

    /// Opens the journal, which takes the lock. Nothing is changed before that.
    ///
    /// - Parameter identity: of what is written.
    /// - Throws: `.io`, `.badInput` if the source was consumed by another run.
    init(
        path: String, _ layout: LeafLayout, identity: UInt64, _ options: LeafWriter.Options
    ) throws(LeafError) {
        self.path = path
        self.layout = layout
        self.options = options
        self.identity = identity
        stamp = ChunkDigest.of(Array(options.stamp.utf8))
        hadPart = FilePath.exists(LeafWriter.Companion.part.path(of: path))
        let journalPath = LeafWriter.Companion.journal.path(of: path)
        guard FilePath.exists(journalPath) || !options.needsConsumedSource else { throw .consumedElsewhere }
        journal = try WriterJournal(of: path, calls: options.calls)
        guard !journal.hasOtherNames else { throw .hasOtherNames(journalPath) }
        record = try WriterJournal.read(journalPath)
        if record == nil, try !WriterJournal.isJournal(journalPath) {
            // An unfinished file vouches for its journal, however that is damaged.
            guard hadPart else { throw .wouldBeLost(journalPath) }
            try OutputFile.requireUnfinished(LeafWriter.Companion.part.path(of: path))
        }
        guard record?.isConsuming == true || !options.needsConsumedSource else {
            throw record?.isDamaged == true ? .lostBlocks(path) : .consumedElsewhere
        }
    }

    /// Whether an earlier run may have worked on the file.
    var isBegun: Bool { hadPart && record != nil }

    /// Finds the blocks that are done, and lets the journal go on behind them, or begin.
    ///
    /// - Throws: `.io`, `.usage` or `.badInput` if going on, or beginning, would lose what cannot be made again.
    mutating func begin(
        _ part: OutputFile
    ) throws(LeafError) -> (blocks: [WriterJournal.Entry], start: LeafWriter.Start) {
        var trusted: [(entry: WriterJournal.Entry, end: Int)] = []
        if let record, record.isConsuming, record.identity != identity || options.needsConsumedSource {
            guard record.identity == identity, options.resumes else { throw .holdsTheOnlyCopy(path) }
            trusted = try trustedEntries(record.entries)
            guard trusted.count == record.entries.count, !record.isDamaged else { throw .lostBlocks(path) }
            try journal.resume(at: record.end)
            isConsuming = true
        } else if let record, hadPart, options.resumes, record.identity == identity, record.stamp == stamp {
            trusted = try trustedEntries(record.entries)
            if let last = trusted.last { try journal.resume(at: last.end) }
        }
        guard trusted.isEmpty else { return (trusted.map(\.entry), .resumed(blocks: trusted.count)) }
        try OutputFile.requireUnfinished(part.path)
        try journal.begin(identity, stamp: stamp)
        let isOthers = record.map { $0.identity != identity || $0.stamp != stamp } ?? false
        return ([], isOthers && hadPart && part.allocatedBytes > 0 ? .discarded : .fresh)
    }

    /// The blocks of an interrupted run that are really on the disk.
    ///
    /// Each block was synced before the journal named it, but disks lie, and files are copied and touched: all of them
    /// are read again. If the file does not match the journal, everything from there on is written again.
    private func trustedEntries(
        _ named: [(entry: WriterJournal.Entry, end: Int)]
    ) throws(LeafError) -> [(entry: WriterJournal.Entry, end: Int)] {
        var entries = named
        let input = try InputFile(path: LeafWriter.Companion.part.path(of: path))
        var begins: [Int] = []
        var offset = layout.blocksOffset
        for ((entry, _), shape) in zip(entries, layout.shape.blocks) {
            guard isPlausible(entry, for: shape), offset + entry.storedBytes <= input.byteCount else { break }
            begins.append(offset)
            offset += entry.storedBytes
        }
        entries.removeLast(entries.count - begins.count)
        for (index, (entry, _)) in entries.enumerated() {
            guard try input.digest(of: layout.scales(of: layout.shape.blocks[index])) == entry.scalesDigest else {
                entries.removeLast(entries.count - index)
                break
            }
        }
        for (index, (entry, _)) in entries.enumerated() {
            guard try isIntact(entry, at: begins[index], in: input) else {
                entries.removeLast(entries.count - index)
                break
            }
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
}

extension LeafError {
    /// An unfinished conversion that somebody keeps under another name as well.
    static func hasOtherNames(_ path: String) -> LeafError {
        LeafError(
            .usage,
            "\(path) has another name as well, a hard link, under which it would change; put a copy in its place, or "
                + "remove it")
    }

    fileprivate static let consumedElsewhere = LeafError(
        .badInput,
        "the checkpoint lacks what an interrupted conversion that consumes it has put into another file already; "
            + "only that conversion can go on")

    fileprivate static func holdsTheOnlyCopy(_ path: String) -> LeafError {
        LeafError(
            .usage,
            "\(path).part is the unfinished work of a conversion that consumed its source, "
                + "and the only copy of what that has deleted; run that command again, or remove \(path).part "
                + "and \(path).journal")
    }

    fileprivate static func lostBlocks(_ path: String) -> LeafError {
        LeafError(
            .badInput,
            "\(path).part does not hold what \(path).journal says, and its source was consumed; "
                + "get the checkpoint again and remove both files")
    }
}
