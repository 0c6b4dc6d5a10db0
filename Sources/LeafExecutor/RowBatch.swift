/// Names one sequence of a `KVCache`.
public struct SequenceID: Hashable, Sendable {
    let number: Int
}

/// The rows of one sweep: positions of any number of sequences whose hidden states are wanted.
///
/// Prompt, decode step, draft, beam, scored text and blank differ only in which rows they ask for. Rows of one sequence
/// stand together, in rising order of their indices.
public struct RowBatch: Sendable {
    /// One position of one sequence.
    public struct Row: Sendable, Equatable {
        /// Where the input embedding comes from.
        public enum Input: Sendable, Equatable {
            case token(Int32)
            /// A row of the soft prompts' table: `task * promptLength + place`; behind the table those of `ModelTuning`.
            case softPrompt(Int32)
        }

        public var input: Input
        public var sequence: SequenceID
        /// Place in the text, as the position bias and the causal rule count it, and in the cache. A row whose place was
        /// computed before is computed again.
        public var index: Int32
        public var segment: Int32
        /// Rows of different spans do not see each other.
        public var span: Int32
        /// Context is seen by everyone; other rows are seen by later ones (and themselves) that are not context either.
        public var isContext: Bool
        /// A padding row sees nothing and nobody sees it.
        public var isPadding: Bool
        public var wantsLogits: Bool
        /// Whether the hidden state after the last norm is wanted; logits bring it along.
        public var wantsHiddenState = false
        /// The place of one of the model's adapters; nil for none.
        public var adapter: Int?

        public init(
            input: Input, sequence: SequenceID, index: Int32, segment: Int32, span: Int32 = 0, isContext: Bool,
            isPadding: Bool = false, wantsLogits: Bool, adapter: Int? = nil
        ) {
            self.input = input
            self.sequence = sequence
            self.index = index
            self.segment = segment
            self.span = span
            self.isContext = isContext
            self.isPadding = isPadding
            self.wantsLogits = wantsLogits
            self.adapter = adapter
        }

        package var wantsOutput: Bool { wantsLogits || wantsHiddenState }
    }

    public var rows: [Row]

    public init(rows: [Row] = []) {
        self.rows = rows
    }

    public var logitRowCount: Int { rows.count { $0.wantsLogits } }

    /// The run of rows of one sequence that begins at `first`.
    func group(from first: Int) -> Range<Int> {
        let sequence = rows[first].sequence
        var end = first + 1
        while end < rows.count, rows[end].sequence == sequence { end += 1 }
        return first..<end
    }
}
