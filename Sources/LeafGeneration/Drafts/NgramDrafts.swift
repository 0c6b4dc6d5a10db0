import LeafSystem

/// Drafts by what stood in a text before, or in a corpus of its kind.
package final class NgramDrafts: DraftSource {
    /// Tokens of a text that are looked up.
    private let limit: Int
    private let corpus: DraftCorpus?

    /// What is known of a text.
    private final class Past {
        var drafter: NgramDrafter
        /// Generated tokens that the drafter has.
        var known = 0

        init(_ text: any DraftedText, limit: Int, _ corpus: DraftCorpus?) {
            drafter = NgramDrafter(limit: limit, nodes: Speculation.mostDrafts, corpus: corpus)
            drafter.accept(text.prompt.ids[...])
        }
    }

    /// - Parameter limit: tokens of the longest text, its prompt included.
    package init(limit: Int, corpus: DraftCorpus? = nil) {
        self.limit = limit
        self.corpus = corpus
    }

    /// Bytes for one text, without the corpus, for the memory plan.
    package static func byteCount(limit: Int) -> Int {
        NgramDrafter.byteCount(limit: limit, nodes: Speculation.mostDrafts)
            +| DraftTree.byteCount(capacity: Speculation.mostDrafts)
    }

    package func draft(
        _ texts: [any DraftedText], _ wish: DraftWish, workspace: inout SamplingWorkspace, isCancelled: () -> Bool
    ) {
        for text in texts {
            let past = text.draftState as? Past ?? Past(text, limit: limit, corpus)
            text.draftState = past
            past.drafter.accept(text.history.generated.dropFirst(past.known))
            past.known = text.history.generatedCount
            past.drafter.draft(
                into: &text.drafts, count: wish.count, depth: text.draftLimit,
                width: text.takesBranches && wish.branchPages > 0 ? Self.width : 1, chance: wish.chance)
            text.drafts.keep { wish.pays($0.probability) }
        }
    }

    /// Continuations of one run of tokens.
    private static let width = 4
}
