import CLeafKernels
import LeafSystem

/// The most that a track can need of a model at the same time. The scheduler reserves it from the first sweep on, so no
/// text has to stop for lack of memory.
///
/// Numbers that are too large become the largest there is, which no model is opened for.
public struct Demand: Sendable, Equatable {
    /// The number of positions in one page of the KV cache.
    public static let pageKeys = Int(LEAF_PAGE_KEYS)
    /// Of a track that needs nothing.
    public static let nothing = Demand(
        pages: 0, sequences: 0, positions: 0, firstRows: 0, stepRows: 0, logitRows: 0)

    /// Pages of the KV cache; pages that its sequences share count once.
    public var pages: Int
    public var sequences: Int
    /// Cached positions of the longest sequence.
    public var positions: Int
    /// Rows of the first sweep; a prompt is computed in one sweep.
    public var firstRows: Int
    /// Rows of every later sweep.
    public var stepRows: Int
    /// The most rows of one sweep that want logits.
    public var logitRows: Int

    public init(pages: Int, sequences: Int, positions: Int, firstRows: Int, stepRows: Int, logitRows: Int) {
        self.pages = pages
        self.sequences = sequences
        self.positions = positions
        self.firstRows = firstRows
        self.stepRows = stepRows
        self.logitRows = logitRows
    }

    /// Rows of the largest sweep.
    public var rows: Int { max(firstRows, stepRows) }

    /// Pages that hold so many positions of one sequence.
    static func pages(holding positions: Int) -> Int { positions.units(of: pageKeys) }

    /// Both at the same time.
    public static func + (a: Demand, b: Demand) -> Demand {
        Demand(
            pages: a.pages +| b.pages, sequences: a.sequences +| b.sequences, positions: max(a.positions, b.positions),
            firstRows: a.firstRows +| b.firstRows, stepRows: a.stepRows +| b.stepRows,
            logitRows: a.logitRows +| b.logitRows)
    }

    /// So many of them at the same time.
    public static func * (demand: Demand, count: Int) -> Demand {
        count <= 0
            ? .nothing
            : Demand(
                pages: demand.pages *| count, sequences: demand.sequences *| count, positions: demand.positions,
                firstRows: demand.firstRows *| count, stepRows: demand.stepRows *| count,
                logitRows: demand.logitRows *| count)
    }

    /// Either of them.
    public static func | (a: Demand, b: Demand) -> Demand {
        Demand(
            pages: max(a.pages, b.pages), sequences: max(a.sequences, b.sequences),
            positions: max(a.positions, b.positions), firstRows: max(a.firstRows, b.firstRows),
            stepRows: max(a.stepRows, b.stepRows), logitRows: max(a.logitRows, b.logitRows))
    }
}
