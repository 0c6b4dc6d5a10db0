import LeafSystem

/// Drafts by what stood in a text before, or in a corpus of its kind.
package final class NgramDrafts: DraftSource {
    /// Tokens of a text that are looked up.
    private let limit: Int
    private let corpus: DraftCorpus?
    /// What all texts have said; nil where each drafts by itself.
    private var shared: SharedNgrams?

    /// What is known of a text.
    private final class Past {
        var drafter: NgramDrafter
        /// Generated tokens that the drafter has.
        var known = 0
        /// Where the last one of them is, if all texts share what they say.
        var place: SharedNgrams.Place?

        init(_ text: any DraftedText, limit: Int, _ corpus: DraftCorpus?) {
            drafter = NgramDrafter(limit: limit, nodes: Speculation.mostDrafts, corpus: corpus)
            drafter.accept(text.prompt.ids[...])
        }
    }

    /// - Parameters:
    ///   - limit: tokens of the longest text, its prompt included.
    ///   - sharedTokens: of what texts have said, so many are there for all others; 0 for none.
    package init(limit: Int, corpus: DraftCorpus? = nil, sharedTokens: Int = 0) {
        self.limit = limit
        self.corpus = corpus
        shared = sharedTokens > 0 ? SharedNgrams(limit: sharedTokens) : nil
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
            take(text).drafter.draft(
                into: &text.drafts, count: wish.count, depth: text.draftLimit,
                width: text.takesBranches && wish.branchPages > 0 ? Self.width : 1, shared, chance: wish.chance)
            text.drafts.keep { wish.pays($0.probability) }
        }
    }

    package func note(_ texts: [any DraftedText]) {
        // Who drafts by itself is looked at when it does.
        guard shared != nil else { return }
        for text in texts { _ = take(text) }
    }

    /// Takes what a text has said since it was taken last.
    private func take(_ text: any DraftedText) -> Past {
        let past = text.draftState as? Past ?? Past(text, limit: limit, corpus)
        text.draftState = past
        let said = text.history.generated.dropFirst(past.known)
        past.drafter.accept(said)
        // The first token stands behind the end of the prompt.
        let context = past.known == 0 && !said.isEmpty ? text.prompt.ids.suffix(NgramContext.longest) : []
        for token in context + said { past.place = shared?.append(token, after: past.place) }
        past.known += said.count
        return past
    }

    /// Continuations of one run of tokens.
    private static let width = 4
}
