/// What is safely on the disk of a file that is being written: one line a block, appended after the block itself.
///
/// Every line ends with the XXH3-64 of what stands before it, so that a line cut off by a crash is no line.
struct WriterJournal {
    /// One finished block.
    struct Entry: Equatable {
        /// The chunks of each of the block's matrices.
        var chunks: [[LeafMetadata.ChunkRecord]]
        /// Of the block's row scales as they lie in the resident region, one matrix after the other.
        var scalesDigest: UInt64
        /// Of the numbers in the source that the block was made from.
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

    private let file: OutputFile
    private let path: String
    private var end = 0

    /// The first line: which writing this is, so that no other takes it up.
    private static func title(_ fingerprint: UInt64) -> String { "leafcutter journal 1 \(fingerprint.hexDigits)" }

    /// The most that is read of a journal; ten times that of the largest model within the limits.
    private static let maximumBytes = 256 << 20

    /// Opens a journal, or makes one, and locks it against another writing of the same file.
    init(path: String, calls: WriteCalls) throws(LeafError) {
        self.path = path
        file = try OutputFile(path: path, calls: calls)
        try file.lock()
    }

    /// The blocks that the journal names, up to the first line that is damaged, with the places where their lines end.
    ///
    /// - Returns: nil if it is empty or belongs to another writing.
    func entries(of fingerprint: UInt64) throws(LeafError) -> [(entry: Entry, end: Int)]? {
        let input = try InputFile(path: path)
        guard input.byteCount <= Self.maximumBytes else { return nil }
        let bytes = try input.bytes(at: 0, count: input.byteCount)
        var entries: [(entry: Entry, end: Int)] = []
        var begin = 0
        while let newline = bytes[begin...].firstIndex(of: UInt8(ascii: "\n")) {
            guard let line = Self.checked(bytes[begin..<newline]) else { break }
            if begin == 0 {
                guard line.elementsEqual(Self.title(fingerprint).utf8) else { return nil }
            } else {
                guard let entry = Entry(text: line) else { break }
                entries.append((entry, newline + 1))
            }
            begin = newline + 1
        }
        return begin > 0 ? entries : nil
    }

    /// A line without its digest, if that is right.
    private static func checked(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard line.count > 17 else { return nil }
        let text = line.dropLast(17)
        return UInt64(hexDigits: line.suffix(16)) == ChunkDigest.of(Array(text)) ? text : nil
    }

    /// Empties the journal and writes its title.
    mutating func begin(_ fingerprint: UInt64) throws(LeafError) {
        try file.truncate(to: 0)
        end = 0
        try append(line: Self.title(fingerprint))
    }

    /// Goes on behind an entry, and drops those after it.
    mutating func resume(at end: Int) throws(LeafError) {
        try file.truncate(to: end)
        self.end = end
    }

    /// Notes a block, whose bytes must be on the disk by now, and waits until the note is there too.
    mutating func append(_ entry: Entry) throws(LeafError) {
        try append(line: entry.text)
    }

    private mutating func append(line: String) throws(LeafError) {
        let bytes = Array("\(line) \(ChunkDigest.of(Array(line.utf8)).hexDigits)\n".utf8)
        try file.write(bytes, at: end)
        try file.synchronize()
        end += bytes.count
    }
}
