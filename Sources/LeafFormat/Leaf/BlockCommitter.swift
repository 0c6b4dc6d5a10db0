package import LeafSystem

/// Makes finished blocks durable: first their bytes, then their line in the journal.
///
/// One thread at a time uses it. Another thread may write the next block at the same time.
package final class BlockCommitter: @unchecked Sendable {
    /// A block that is written, but perhaps not on the disk yet.
    package struct Block: Sendable {
        let chunks: [[LeafMetadata.ChunkRecord]]
        /// The ranges of its scales in the file.
        let scales: [Range<Int>]
        let sourceDigest: UInt64
        let begin: Int
        package let byteCount: Int
    }

    /// The number of durable blocks.
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

    /// Waits until blocks are durable. They come in order.
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

    /// Must be called before anything is deleted that a committed block was made from.
    package func noteConsumption() throws(LeafError) {
        guard !isConsuming else { return }
        try journal.appendConsuming()
        isConsuming = true
    }

    func noteFinished() throws(LeafError) {
        if isConsuming { try journal.appendFinished() }
    }
}
