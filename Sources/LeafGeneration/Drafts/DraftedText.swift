package import LeafExecutor
package import LeafSystem

/// A text under way whose next tokens may be drafted.
///
/// Its drafts ride on the next sweep behind its last token. Those that the model chooses as well are tokens of the
/// text, and the first that it does not choose ends the path: no draft changes what a text becomes.
package protocol DraftedText: AnyObject {
    var prompt: PromptRows { get }
    /// Where its past lies in the model's cache: prompt and tokens, but not the last one.
    var sequence: SequenceID { get }
    /// The number of places before its drafts: those of prompt and tokens.
    var trunk: Int { get }
    var history: TokenHistory { get }
    /// The longest path of drafts that can be of use: tokens that may come and be followed by another one.
    var draftLimit: Int { get }
    /// Whether drafts may stand beside each other.
    var takesBranches: Bool { get }
    /// Tokens that may come next; those of the last sweep until there are new ones.
    var drafts: DraftTree { get set }
    /// The nodes of `drafts` that the model has chosen as well, in order; nil before it was asked.
    var acceptedDrafts: [Int]? { get set }
    /// What a source of drafts keeps of it; goes with it.
    var draftState: AnyObject? { get set }

    /// What would come next by the text's own rules, the best first.
    ///
    /// - Parameters:
    ///   - row: what some model computed for the last token of the path.
    ///   - path: drafts that count as tokens of the text here.
    func guesses(
        from row: LogitsRow, behind path: [Int32], _ question: DraftQuestion, workspace: inout SamplingWorkspace
    ) -> [DraftGuess]
}

/// How a model is asked what comes next.
package struct DraftQuestion: Sendable {
    /// Guesses at most.
    package let count: Int
    /// How far the logits of the model that guesses are from those of the model that decides, about.
    package let spread: Double
}

/// A token that may come next.
package struct DraftGuess: Sendable, Equatable {
    package let id: Int32
    /// How likely it seems, 0 to 1.
    package let estimate: Double

    package init(id: Int32, estimate: Double) {
        (self.id, self.estimate) = (id, estimate)
    }
}

/// Something that guesses how texts go on.
package protocol DraftSource: AnyObject {
    /// Fills the trees of some texts, all of them together. A parent comes before its children, and what is probable
    /// before what is not.
    ///
    /// - Parameters:
    ///   - texts: with empty trees.
    ///   - isCancelled: asked often enough that nobody waits for long.
    func draft(
        _ texts: [any DraftedText], _ wish: DraftWish, workspace: inout SamplingWorkspace, isCancelled: () -> Bool
    ) throws(LeafError)

    /// Takes what texts have said, those that have ended among them; called after each sweep, whether or not somebody
    /// wanted drafts.
    func note(_ texts: [any DraftedText])
}

extension DraftSource {
    package func note(_ texts: [any DraftedText]) {}
}

/// What is wanted of a source of drafts for one sweep.
package struct DraftWish {
    /// Drafts of each text at most.
    package let count: Int
    /// Pages of each text's sequence for drafts that stand beside others.
    package let branchPages: Int
    package let calibration: DraftCalibration
    /// Whether to draft where it does not pay, too.
    package let isFixed: Bool
    let worth: DraftWorth

    /// The chance that a guess comes true where the text has come to its parent.
    package func chance(_ estimate: Double, kind: Int) -> Double { calibration.chance(estimate, kind: kind) }

    /// Whether a draft is worth its row.
    ///
    /// - Parameter probability: that the text goes on with it and all before it.
    package func pays(_ probability: Double) -> Bool { isFixed || worth.pays(row: probability) }

    /// Whether it is worth another pass of a model to see what comes behind some drafts.
    ///
    /// - Parameter probability: that the text goes on with one of them.
    package func paysPass(_ probability: Double) -> Bool { isFixed || worth.pays(pass: probability) }
}
