package import LeafFormat
import LeafSystem

/// Blocks that a copy of a model computes with the model's own weights, because they are in memory anyway.
package struct BorrowedBlocks: Sendable {
    /// The model's.
    package let file: LeafFile
    /// Indices of blocks; both files have the same ones.
    package let blocks: Set<Int>

    package init(of file: LeafFile, _ blocks: Set<Int>) {
        (self.file, self.blocks) = (file, blocks)
    }
}

extension Executor {
    /// Whose weights a block has.
    func source(ofBlock block: Int) -> Executor {
        guard let lender, let borrowed, borrowed.blocks.contains(block) else { return self }
        return lender
    }

    /// Embeds the rows with the token table of this executor or of its lender.
    func embed(_ batch: RowBatch, fromTableOf source: Executor) throws(LeafError) {
        guard source !== self else { return try embed(batch) }
        for (number, row) in batch.rows.enumerated() {
            try source.architecture.embed(
                row.input, segment: row.segment, into: scratch.hiddenStates[number], source)
        }
    }
}
