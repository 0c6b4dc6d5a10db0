import LeafExecutor
package import LeafFormat
package import LeafSystem

/// What becomes of a request's texts as rows of logits come: samples go their own ways, beams compete.
///
/// Texts under way are counted from 0, as their sequences in the cache are. Before the first row there is one, the
/// prompt.
package protocol TextChoice {
    /// Texts under way.
    var count: Int { get }
    var isFinished: Bool { get }
    /// Tokens of the longest text.
    var length: Int { get }

    /// Whether a text under way wants another row.
    func goesOn(_ text: Int) -> Bool
    func history(of text: Int) -> TokenHistory

    /// Takes what the model gives after a text, text by text in order.
    ///
    /// - Parameters:
    ///   - rows: those of the text's positions that are not known yet: of its last token, and of the nodes of `drafts`
    ///     in their order.
    ///   - drafts: a row counts if all drafts before it are what the text has become.
    /// - Returns: the drafts whose rows counted, each behind the one before it.
    /// - Throws: `.badInput` for logits that are no numbers, or if every token is forbidden.
    mutating func accept(
        _ rows: [LogitsRow], of text: Int, drafts: DraftTree, workspace: inout SamplingWorkspace
    ) throws(LeafError) -> [Int]

    /// The longest path of drafts that can be of use behind a text on one sweep.
    func draftLimit(of text: Int) -> Int

    /// What would come next by a row of some model, the best first.
    ///
    /// - Parameters:
    ///   - path: drafts that count as tokens of the text here.
    mutating func guesses(
        from row: LogitsRow, of text: Int, behind path: [Int32], _ question: DraftQuestion,
        workspace: inout SamplingWorkspace
    ) -> [DraftGuess]

    /// Decides, once the rows of all texts were taken.
    ///
    /// - Returns: for each text that is under way from now on, from which of the earlier ones it comes.
    mutating func advance() throws(LeafError) -> [Int]

    /// The texts as they are at the end. What was held back is reported first.
    mutating func finish() -> [Generation.Sample]

    /// Writes what a session keeps.
    ///
    /// - Returns: whether the pages of the texts under way belong to it.
    func write(to writer: SessionWriter) throws(LeafError) -> Bool

    /// Reads what `write` wrote; nothing has been chosen yet.
    ///
    /// - Returns: whether the pages of the texts under way come behind it.
    mutating func resume(_ reader: SessionReader) throws(LeafError) -> Bool

    /// Reports the tokens that `resume` has found.
    ///
    /// - Returns: how many there are.
    mutating func tellResumed() -> Int
}

extension TextChoice {
    package func draftLimit(of text: Int) -> Int { 0 }
    package mutating func guesses(
        from row: LogitsRow, of text: Int, behind path: [Int32], _ question: DraftQuestion,
        workspace: inout SamplingWorkspace
    ) -> [DraftGuess] { [] }
}

extension KVCache {
    /// The sequences of the texts that go on. The first child of a text goes on in its sequence, further ones in copies
    /// that share its pages.
    ///
    /// - Parameters:
    ///   - parents: for each text that goes on, the number of the one it comes from.
    ///   - sequences: the sequences of the earlier texts. Those without a child are removed.
    func follow(_ parents: [Int], of sequences: [SequenceID]) -> [SequenceID] {
        if parents.elementsEqual(sequences.indices) { return sequences }
        var isTaken = Array(repeating: false, count: sequences.count)
        let next = parents.map { parent in
            if isTaken[parent] { return fork(sequences[parent]) }
            isTaken[parent] = true
            return sequences[parent]
        }
        for (text, sequence) in sequences.enumerated() where !isTaken[text] { remove(sequence) }
        return next
    }
}
