import CLeafKernels
import LeafSystem

/// How much is computed and cached at the same time: the most that a text needs, or that a model is opened for.
///
/// The scheduler reserves what a text demands from the first sweep on, so no text has to stop for lack of memory.
/// Numbers that are too large become the largest there is, which no model is opened for.
public struct Demand: Sendable, Equatable {
    /// The number of positions in one page of the KV cache.
    public static let pageKeys = Int(LEAF_PAGE_KEYS)
    /// The demand of a text that needs nothing.
    public static let nothing = Demand(
        pages: 0, sequences: 0, longest: 0, firstRows: 0, stepRows: 0, logitRows: 0, heapBytes: 0, takesDrafts: false)
    /// Heap bytes of a token under way with its text, its event and the twenty most likely others.
    public static let tokenHeapBytes = 1024
    /// Heap bytes of a token that is only read: its id, in arrays that have doubled.
    package static let idHeapBytes = 32
    /// Heap bytes of a token on its way to a sweep.
    package static let rowHeapBytes = MemoryLayout<RowBatch.Row>.stride

    /// Pages of the KV cache; pages that sequences share count once.
    public var pages: Int
    public var sequences: Int
    /// Cached positions of the longest sequence, soft prompt included.
    public var longest: Int
    /// Rows of a text's first sweep; a prompt is computed in one sweep.
    public var firstRows: Int
    /// Rows of every later sweep.
    public var stepRows: Int
    /// The most rows of one sweep that want logits.
    public var logitRows: Int
    /// Bytes on the heap for tokens and answers under way.
    public var heapBytes: Int
    /// Whether the next tokens of some text may be guessed.
    public var takesDrafts: Bool

    public init(
        pages: Int, sequences: Int, longest: Int, firstRows: Int, stepRows: Int, logitRows: Int, heapBytes: Int,
        takesDrafts: Bool = true
    ) {
        self.pages = pages
        self.sequences = sequences
        self.longest = longest
        self.firstRows = firstRows
        self.stepRows = stepRows
        self.logitRows = logitRows
        self.heapBytes = heapBytes
        self.takesDrafts = takesDrafts
    }

    /// The demand of a model that holds so many positions, with rows as they come.
    ///
    /// - Parameters:
    ///   - context: cached positions of all sequences together: soft prompts, texts and generated tokens.
    ///   - longest: those of the longest sequence; nil for all of `context`.
    ///   - rows: the most rows of one sweep, such as the longest prompt with its soft prompt; nil for `context`.
    ///   - heapBytes: nil for `tokenHeapBytes` a position, and room for the ids of all sequences.
    public init(
        context: Int, longest: Int? = nil, rows: Int? = nil, logitRows: Int = 1, sequences: Int = 1,
        heapBytes: Int? = nil
    ) {
        let rows = min(rows ?? context, context)
        self.init(
            // Each sequence may leave a part of its last page unused.
            pages: Self.pages(holding: context) +| (sequences -| 1), sequences: sequences,
            longest: min(longest ?? context, context), firstRows: rows, stepRows: rows, logitRows: logitRows,
            heapBytes: heapBytes
                ?? context *| Self.tokenHeapBytes +| sequences *| min(longest ?? context, context)
                *| Self.idHeapBytes)
    }

    /// Rows of the largest sweep.
    public var rows: Int { max(firstRows, stepRows) }

    /// What is left to demand of a text whose first sweep is over.
    package var underWay: Demand {
        var demand = self
        demand.firstRows = stepRows
        return demand
    }

    /// Whether a model that was opened for `capacity` can meet this demand.
    package func fits(in capacity: Demand) -> Bool {
        pages <= capacity.pages && sequences <= capacity.sequences && longest <= capacity.longest
            && rows <= capacity.rows && logitRows <= capacity.logitRows && heapBytes <= capacity.heapBytes
    }

    /// Pages that hold so many positions of one sequence.
    public static func pages(holding positions: Int) -> Int { positions.units(of: pageKeys) }

    /// The demand of both at the same time.
    public static func + (a: Demand, b: Demand) -> Demand {
        Demand(
            pages: a.pages +| b.pages, sequences: a.sequences +| b.sequences, longest: max(a.longest, b.longest),
            firstRows: a.firstRows +| b.firstRows, stepRows: a.stepRows +| b.stepRows,
            logitRows: a.logitRows +| b.logitRows, heapBytes: a.heapBytes +| b.heapBytes,
            takesDrafts: a.takesDrafts || b.takesDrafts)
    }

    /// The demand of so many texts at the same time.
    public static func * (demand: Demand, count: Int) -> Demand {
        count <= 0
            ? .nothing
            : Demand(
                pages: demand.pages *| count, sequences: demand.sequences *| count, longest: demand.longest,
                firstRows: demand.firstRows *| count, stepRows: demand.stepRows *| count,
                logitRows: demand.logitRows *| count,
                heapBytes: demand.heapBytes *| count, takesDrafts: demand.takesDrafts)
    }

    /// A demand that is enough for either of them.
    public static func | (a: Demand, b: Demand) -> Demand {
        Demand(
            pages: max(a.pages, b.pages), sequences: max(a.sequences, b.sequences),
            longest: max(a.longest, b.longest), firstRows: max(a.firstRows, b.firstRows),
            stepRows: max(a.stepRows, b.stepRows), logitRows: max(a.logitRows, b.logitRows),
            heapBytes: max(a.heapBytes, b.heapBytes), takesDrafts: a.takesDrafts || b.takesDrafts)
    }
}
