import LeafSystem

/// Drafts by what stood in a text before, or in a corpus of its kind.
package final class NgramDrafts: DraftSource {
    /// Tokens of a text that are looked up.
    private let limit: Int
    private let corpus: DraftCorpus?

    /// What is known of a text.
    private final class Past {
        var drafter: NgramDrafter
        var tree = DraftTree(capacity: Speculation.mostDrafts)
        /// Generated tokens that the drafter has.
        var known = 0

        init(_ text: any DraftedText, limit: Int, _ corpus: DraftCorpus?) {
            drafter = NgramDrafter(limit: limit, nodes: Speculation.mostDrafts, width: 1, corpus: corpus)
            drafter.accept(text.prompt.ids[...], drafted: tree)
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
        _ texts: [any DraftedText], workspace: inout SamplingWorkspace,
        add: (_ text: any DraftedText, _ draft: Draft) -> Bool, isCancelled: () -> Bool
    ) {
        for text in texts {
            let past = text.draftState as? Past ?? Past(text, limit: limit, corpus)
            text.draftState = past
            past.drafter.accept(text.history.generated.dropFirst(past.known), drafted: past.tree)
            past.known = text.history.generatedCount
            past.drafter.draft(into: &past.tree, limit: min(Speculation.mostDrafts, text.draftLimit))
            // Drafters of width 1 make chains.
            var before = 1.0
            for node in past.tree.nodes {
                guard add(text, Draft(id: node.token, probability: Float(node.probability / before))) else { break }
                before = node.probability
            }
        }
    }
}
