import LeafSystem

/// The journal of a file that is being written: one line for each durable block, appended after the block itself.
///
/// Every line ends with the XXH3-64 of its text, so a line that a crash cut off is not valid. A journal that names no
/// block goes with its owner, together with the file that was begun: there is nothing to go on from.
struct WriterJournal {
    /// One finished block.
    struct Entry: Equatable {
        /// The chunks of each of the block's matrices.
        var chunks: [[LeafMetadata.ChunkRecord]]
        /// The digest of the block's scales in the resident region, with matrices concatenated.
        var scalesDigest: UInt64
        /// The digest of the source's numbers that the block was made from.
        var sourceDigest: UInt64

        /// Bytes in the file, padding included.
        var storedBytes: Int { chunks.joined().reduce(0) { $0 + $1.paddedBytes } }

        var text: String {
            let table = chunks.map { $0.map(\.text).joined(separator: ",") }.joined(separator: ";")
            return "block \(table) \(scalesDigest.hexDigits) \(sourceDigest.hexDigits)"
        }

        init(chunks: [[LeafMetadata.ChunkRecord]], scalesDigest: UInt64, sourceDigest: UInt64) {
            self.chunks = chunks
            self.scalesDigest = scalesDigest
            self.sourceDigest = sourceDigest
        }

        init?(text: ArraySlice<UInt8>) {
            let fields = text.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            guard fields.count == 4, fields[0].elementsEqual("block".utf8), let scales = UInt64(hexDigits: fields[2]),
                let source = UInt64(hexDigits: fields[3])
            else { return nil }
            var chunks: [[LeafMetadata.ChunkRecord]] = []
            for matrix in fields[1].split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false) {
                let texts = matrix.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
                let records = texts.compactMap { LeafMetadata.ChunkRecord(text: $0) }
                guard records.count == texts.count else { return nil }
                chunks.append(records)
            }
            self.init(chunks: chunks, scalesDigest: scales, sourceDigest: source)
        }
    }

    /// The contents of a journal.
    struct Record {
        let identity: UInt64
        let stamp: UInt64
        /// The blocks, with the offsets at which their lines end.
        var entries: [(entry: Entry, end: Int)] = []
        /// Whether the source may lack the numbers that the blocks were made from.
        var isConsuming = false
        /// Whether the file was complete and about to be renamed.
        var isFinished = false
        /// The offset at which the last valid line ends.
        var end = 0
        /// Whether more follows than one line that a crash cut off.
        var isDamaged = false
    }

    private let file: OutputFile
    private let remains: Remains
    private var end = 0

    /// Every version's.
    private static let name = "leafcutter journal "
    private static let title = name + "2 "
    private static let consuming = "consume"
    private static let finished = "finished"

    /// The most that is read of a journal; that of the 10B model has 0.3 million bytes.
    private static let maximumBytes = 16 << 20

    /// Opens or creates the journal of a file, and locks it against another run that writes the same file.
    init(of path: String, calls: WriteCalls) throws(LeafError) {
        file = try OutputFile(path: LeafWriter.Companion.journal.path(of: path), calls: calls)
        try file.lock()
        remains = Remains(of: path, file)
    }

    var hasOtherNames: Bool { file.hasOtherNames }

    /// What an unfinished file leaves: itself and its journal, or nothing if no run could go on from them.
    private final class Remains {
        private let path: String
        private let journal: OutputFile
        /// Whether another run could.
        var holdWork: Bool
        /// Whether the file itself has been emptied.
        var hasBegun = false

        /// - Parameter journal: locked, so that nobody else has begun anything when its name is removed.
        init(of path: String, _ journal: OutputFile) {
            self.path = path
            self.journal = journal
            // What an earlier run left is its own until it is replaced.
            holdWork = journal.byteCount > 0
        }

        deinit {
            guard !holdWork else { return }
            if hasBegun { try? FilePath.remove(LeafWriter.Companion.part.path(of: path)) }
            try? FilePath.remove(journal.path)
        }
    }

    /// Reads a journal up to the first damaged line; nil if its first line is not valid.
    static func read(_ path: String) throws(LeafError) -> Record? {
        let input = try InputFile(path: path)
        guard input.byteCount <= Self.maximumBytes else { return nil }
        let bytes = try input.bytes(at: 0, count: input.byteCount)
        var record: Record?
        var begin = 0
        while let newline = bytes[begin...].firstIndex(of: UInt8(ascii: "\n")) {
            guard let line = checked(bytes[begin..<newline]), note(line, newline + 1, in: &record) else {
                record?.isDamaged = newline + 1 < bytes.count
                break
            }
            begin = newline + 1
            record?.end = begin
        }
        return record
    }

    /// Whether a file is empty, or begins as a journal does, as far as it goes.
    static func isJournal(_ path: String) throws(LeafError) -> Bool {
        let input = try InputFile(path: path)
        let name = Array(Self.name.utf8)
        return try name.starts(with: input.bytes(at: 0, count: min(name.count, input.byteCount)))
    }

    /// - Returns: whether the line is valid where it stands.
    private static func note(_ line: ArraySlice<UInt8>, _ end: Int, in record: inout Record?) -> Bool {
        guard record != nil else {
            let fields = line.dropFirst(title.utf8.count).split(separator: UInt8(ascii: " "))
            guard line.starts(with: title.utf8), fields.count == 2, let identity = UInt64(hexDigits: fields[0]),
                let stamp = UInt64(hexDigits: fields[1])
            else { return false }
            record = Record(identity: identity, stamp: stamp)
            return true
        }
        if line.elementsEqual(consuming.utf8) {
            record!.isConsuming = true
        } else if line.elementsEqual(finished.utf8) {
            record!.isFinished = true
        } else {
            guard let entry = Entry(text: line) else { return false }
            record!.entries.append((entry, end))
        }
        return true
    }

    /// A line without its digest, if the digest is right.
    private static func checked(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard line.count > 17 else { return nil }
        let text = line.dropLast(17)
        return UInt64(hexDigits: line.suffix(16)) == ChunkDigest.of(Array(text)) ? text : nil
    }

    /// Empties the journal and writes its first line, which identifies the run so that no other continues it.
    ///
    /// - Parameters:
    ///   - identity: of contents and options.
    ///   - stamp: of the times at which the source changed.
    mutating func begin(_ identity: UInt64, stamp: UInt64) throws(LeafError) {
        (remains.holdWork, remains.hasBegun) = (false, true)
        try file.truncate(to: 0)
        end = 0
        try append(lines: ["\(Self.title)\(identity.hexDigits) \(stamp.hexDigits)"])
    }

    /// Continues after a line, and drops the lines after it.
    mutating func resume(at end: Int) throws(LeafError) {
        try file.truncate(to: end)
        self.end = end
    }

    /// Adds blocks, whose bytes must be on the disk already, and waits until their lines are on the disk too.
    mutating func append(_ entries: [Entry]) throws(LeafError) {
        remains.holdWork = true
        try append(lines: entries.map(\.text))
    }

    /// Notes that from now on the source may lack the numbers that the blocks were made from.
    mutating func appendConsuming() throws(LeafError) {
        remains.holdWork = true
        try append(lines: [Self.consuming])
    }

    /// Notes that the file is complete.
    mutating func appendFinished() throws(LeafError) { try append(lines: [Self.finished]) }

    private mutating func append(lines: [String]) throws(LeafError) {
        let bytes = lines.flatMap { Array("\($0) \(ChunkDigest.of(Array($0.utf8)).hexDigits)\n".utf8) }
        try file.write(bytes, at: end)
        try file.synchronize()
        end += bytes.count
    }
}
