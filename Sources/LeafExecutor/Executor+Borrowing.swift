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
}
