import LeafTokenizer

/// Forbids the end and a line break as the first token, so that there is a text.
///
/// Source: CPM-Ant reference, section 5.1.
package struct FirstTokenBan: LogitsProcessor {
    private let banned: [Int]

    package init(eosID: Int32) {
        banned = [Int(eosID), Int(Tokenizer.newlineID)]
    }

    package func process(_ workspace: inout SamplingWorkspace, after history: TokenHistory) {
        guard history.generatedCount == 0 else { return }
        for id in banned where id < workspace.vocabSize { workspace.logits[id] = -.infinity }
    }
}
