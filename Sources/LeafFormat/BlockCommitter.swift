/// Makes finished blocks survive a crash: first their bytes, then their line in the journal.
///
/// Used by one thread at a time, which may be another than the one that writes the next block meanwhile.
package final class BlockCommitter: @unchecked Sendable {
    /// A block that is written, but perhaps not on the disk.
    package struct Block: Sendable {
        let chunks: [[LeafMetadata.ChunkRecord]]
        /// Where its row scales lie.
        let scales: [Range<Int>]
        let sourceDigest: UInt64
        let begin: Int
        package let byteCount: Int
    }

    /// Blocks that survive a crash.
    package private(set) var committedBlocks = 0
    private let part: OutputFile
    private var journal: WriterJournal!
    private var isConsuming = false

    init(part: OutputFile) { self.part = part }

    func begin(_ journal: WriterJournal, blocks: Int, isConsuming: Bool) {
        self.journal = journal
        self.isConsuming = isConsuming
        committedBlocks = blocks
    }

    /// Waits until blocks are safe. They come in order.
    package func commit(_ blocks: [Block]) throws(LeafError) {
        try part.synchronize()
        let input = try InputFile(path: part.path)
        var entries: [WriterJournal.Entry] = []
        for block in blocks {
            entries.append(
                WriterJournal.Entry(
                    chunks: block.chunks, scalesDigest: try input.digest(of: block.scales),
                    sourceDigest: block.sourceDigest))
            part.dropCache(at: block.begin, count: block.byteCount)
        }
        try journal.append(entries)
        committedBlocks += blocks.count
    }

    /// Must be called before anything that a committed block was made from is deleted.
    package func noteConsumption() throws(LeafError) {
        guard !isConsuming else { return }
        try journal.appendConsuming()
        isConsuming = true
    }

    func noteFinished() throws(LeafError) {
        if isConsuming { try journal.appendFinished() }
    }
}
