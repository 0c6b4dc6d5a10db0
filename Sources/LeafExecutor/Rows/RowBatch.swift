/// The name of one sequence in a `KVCache`.
package struct SequenceID: Hashable, Sendable {
    let number: Int
}

/// The rows of one sweep: positions of any number of sequences whose hidden states are wanted.
///
/// A prompt, a decoding step, a draft, a beam, a scored text and a blank differ only in their rows. Rows of one
/// sequence stand together, in ascending order of their places.
package struct RowBatch: Sendable {
    /// One position of one sequence.
    package struct Row: Sendable, Equatable {
        /// The source of the input embedding.
        package enum Input: Sendable, Equatable {
            case token(Int32)
            /// A row of the soft-prompt table: `task * promptLength + index`. Rows of `ModelTuning` follow the table.
            case softPrompt(Int32)
        }

        /// Where a draft lies, and behind which place: of all drafts it sees that one alone, and those that that one
        /// sees.
        package struct Branch: Sendable, Equatable {
            package let place: Int32
            package let parent: Int32

            package init(place: Int, behind parent: Int) {
                (self.place, self.parent) = (Int32(place), Int32(parent))
            }
        }

        package var input: Input
        package var sequence: SequenceID
        /// The index in the text, which decides the position bias and the causal rule.
        package var index: Int32
        /// What makes it a row of a tree; nil for a row that sees all before it.
        package var branch: Branch?
        package var segment: Int32
        /// Rows of different spans do not see each other.
        package var span: Int32
        /// Context is visible to every row. Other rows are visible to themselves and to later rows that are not
        /// context.
        package var isContext: Bool
        /// A padding row sees nothing, and no row sees it.
        package var isPadding: Bool
        package var wantsLogits: Bool
        /// Whether the hidden state after the last norm is wanted; a row with logits always has it.
        package var wantsHiddenState = false
        /// The index of one of the model's adapters; nil for none.
        package var adapter: Int?

        package init(
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

        /// The place in the sequence's cache. A row whose place was computed before is computed again.
        package var place: Int32 { branch?.place ?? index }

        package var wantsOutput: Bool { wantsLogits || wantsHiddenState }
    }

    package var rows: [Row]

    package init(rows: [Row] = []) {
        self.rows = rows
    }

    package var logitRowCount: Int { rows.count { $0.wantsLogits } }

    /// The rows of one sequence that begin at `first`.
    func group(from first: Int) -> Range<Int> {
        let sequence = rows[first].sequence
        var end = first + 1
        while end < rows.count, rows[end].sequence == sequence { end += 1 }
        return first..<end
    }
}
