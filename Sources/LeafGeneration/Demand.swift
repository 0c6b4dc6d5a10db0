import CLeafKernels

/// What a track can come to need of a model at the same time: the scheduler keeps it free from the first sweep on, so
/// that no text breaks off for want of room.
public struct Demand: Sendable, Equatable {
    /// Positions of one page of the KV cache.
    public static let pageKeys = Int(LEAF_PAGE_KEYS)

    /// Pages of the KV cache, those that its sequences share counted once.
    public var pages: Int
    public var sequences: Int
    /// Cached positions of the longest sequence.
    public var positions: Int
    /// Rows of the first sweep: a prompt is computed whole.
    public var firstRows: Int
    /// Rows of every later sweep.
    public var stepRows: Int
    /// Rows of one sweep whose logits are wanted.
    public var logitRows: Int

    public init(pages: Int, sequences: Int, positions: Int, firstRows: Int, stepRows: Int, logitRows: Int) {
        self.pages = pages
        self.sequences = sequences
        self.positions = positions
        self.firstRows = firstRows
        self.stepRows = stepRows
        self.logitRows = logitRows
    }
}
