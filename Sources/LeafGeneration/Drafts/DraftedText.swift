package import LeafExecutor
package import LeafSystem

/// A text under way whose next tokens may be drafted.
///
/// Its drafts ride on the next sweep behind its last token. Those that the model chooses as well are tokens of the
/// text, and the first that it does not choose ends the chain: no draft changes what a text becomes.
package protocol DraftedText: AnyObject {
    var prompt: PromptRows { get }
    /// Where its past lies in the model's cache: prompt and tokens, but not the last one.
    var sequence: SequenceID { get }
    var history: TokenHistory { get }
    /// The most drafts that can be of use: tokens that may come and be followed by another one.
    var draftLimit: Int { get }
    /// Tokens that may come next, in order; those of the last sweep until there are new ones.
    var drafts: [Draft] { get set }
    /// How many of `drafts` the model has chosen as well; nil before it was asked.
    var acceptedDrafts: Int? { get set }
    /// What a source of drafts keeps of it; goes with it.
    var draftState: AnyObject? { get set }

    /// Chooses by the text's own rules the token that would come next, and counts it as one for the draft after it.
    ///
    /// - Parameter row: what some model computed for it.
    /// - Returns: the draft and its probability by these logits; nil if the text would end here.
    func draft(from row: LogitsRow, workspace: inout SamplingWorkspace) -> Draft?

    /// Takes back what `draft` has counted as tokens; `drafts` stay.
    func forgetDrafts()
}

/// A token that may come next.
package struct Draft: Sendable, Equatable {
    package var id: Int32
    /// How likely whoever drafted it took it to be, 0 to 1.
    package var probability: Float

    package init(id: Int32, probability: Float) {
        (self.id, self.probability) = (id, probability)
    }
}

/// Something that guesses how texts go on.
package protocol DraftSource: AnyObject {
    /// Drafts for some texts, all of them together.
    ///
    /// - Parameters:
    ///   - texts: without drafts.
    ///   - add: takes one more draft of a text. Returns whether another one behind it is wanted.
    ///   - isCancelled: asked often enough that nobody waits for long.
    func draft(
        _ texts: [any DraftedText], workspace: inout SamplingWorkspace,
        add: (_ text: any DraftedText, _ draft: Draft) -> Bool, isCancelled: () -> Bool
    ) throws(LeafError)
}
