import LeafFormat
package import LeafGeneration
public import LeafSystem

/// What guesses how texts go on. A guess is checked on the next sweep, and a wrong one changes no text.
public struct DraftOptions: Sendable {
    public enum Source: Sendable {
        /// Nothing.
        case none
        /// The n-grams of prompt and output, where the plan has room for them beside what matters more.
        case automatic
        /// The n-grams of prompt and output.
        case ngrams
        /// A model with the same vocabulary, which stays in memory. A copy of the model with fewer bits shares its
        /// cache.
        case model(ModelFile)
    }

    public var source: Source
    /// Drafts of a text on each sweep, also where they do not pay; nil for as many as pay.
    public var fixedCount: Int?

    /// Whether n-grams are also those of what the other texts of the model have said. A text is the same either way,
    /// but how fast it comes may tell what others have said.
    public var sharesNgrams = false

    /// How often the best guess behind a token is taken to be right, for predictions; nil for what was kept, or else a
    /// careful figure.
    public var expectedAcceptance: Double?
    /// What was kept of earlier runs; nil to know nothing of them.
    public var kept: KeptAcceptance?
    /// Why nothing is known of them, where something was kept.
    package private(set) var keptProblem: LeafError?
    /// Blocks that a copy computes with the model's weights; nil for as many as give most by prediction.
    package var lentBlocks: Int?
    /// Called once, from any thread, when what drafts has failed: nothing drafts from then on, and no text changes.
    public var onFailure: @Sendable (LeafError) -> Void = { _ in }
    /// Another source, in place of `source`.
    package var makeSource: (@Sendable () -> any DraftSource)?

    public init(_ source: Source, fixedCount: Int? = nil) {
        self.source = source
        self.fixedCount = fixedCount
    }

    /// Reads what people write: `auto`, `off`, `ngram`, or the path of a model.
    ///
    /// - Parameters:
    ///   - acceptance: how often the best guess is taken to be right, from 0 to 1; nil where nobody says.
    ///   - memory: the budget of the model that is drafted for; the header of the draft has to fit it as well.
    /// - Throws: `.io` and `.badInput` for a model that cannot be read, `.budget` for one that is too large, `.usage`
    ///   for what is no file and nearly one of the words, and for what is said of guesses where nothing guesses.
    public init(
        named name: String, fixedCount: Int? = nil, acceptance: Double? = nil, memory: MemoryBudget = .automatic
    ) throws(LeafError) {
        try Self.check(name, fixedCount, acceptance)
        self.fixedCount = fixedCount
        expectedAcceptance = acceptance
        source =
            switch name {
            case "off": .none
            case "auto": .automatic
            case "ngram": .ngrams
            default: .model(try Self.model(name, toPlanFor: memory))
            }
        guard case .model(let draft) = source else { return }
        do throws(LeafError) { kept = try KeptAcceptance(beside: draft.leaf.path) } catch { keptProblem = error }
    }

    private static func check(_ name: String, _ count: Int?, _ acceptance: Double?) throws(LeafError) {
        let guessing = LeafError.Advice.setting("speculate", ["ngram", "MODEL.leaf"])
        if let acceptance, !(0...1).contains(acceptance) {
            throw LeafError(.usage, "an acceptance of \(acceptance) is not between 0 and 1")
        }
        guard name == "off" else { return }
        guard count == nil else {
            throw LeafError(.usage, "a number of guesses needs something that guesses", advice: guessing)
        }
        guard acceptance == nil else {
            throw LeafError(
                .usage, "an acceptance says how often guesses are right, and nothing guesses", advice: guessing)
        }
    }

    private static func model(_ path: String, toPlanFor memory: MemoryBudget) throws(LeafError) -> ModelFile {
        if !FilePath.exists(path), let word = NearestName.of(path, among: names) {
            throw LeafError(
                .usage,
                "'\(path)' is neither a model file nor one of \(names.joined(separator: ", ")); did you mean "
                    + "'\(word)'?")
        }
        return try ModelFile(path: path, toPlanFor: memory, readsTokenizer: false)
    }

    /// Numbers of guesses that `fixedCount` may be.
    package static let counts = 1...Speculation.mostDrafts

    /// The words that are no paths.
    public static let names = ["auto", "off", "ngram"]

    /// Whether anything is to draft.
    package var isWanted: Bool { if case .none = source { makeSource != nil } else { true } }
    var isAutomatic: Bool { if case .automatic = source { true } else { false } }

    /// - Throws: `.usage` if there is something for n-grams, and none of them guesses.
    func check(for file: ModelFile) throws(LeafError) {
        if file.draftCorpus != nil || file.unreadCorpus != nil { try checkNgrams("a draft corpus is") }
        try checkSharing()
    }

    /// - Throws: `.usage` if n-grams are shared that nothing guesses by.
    func checkSharing() throws(LeafError) {
        if sharesNgrams { try checkNgrams("what other texts have said is") }
    }

    private func checkNgrams(_ what: String) throws(LeafError) {
        switch source {
        case .automatic, .ngrams: return
        case .none, .model:
            throw LeafError(
                .usage, "\(what) for n-grams, and something else guesses, or nothing",
                advice: .setting("speculate", ["ngram", "auto"]))
        }
    }

    /// Models of the same family are right about as often, most copies with fewer bits more often, and n-grams hardly
    /// ever where a text does not repeat itself.
    private static let carefulAcceptance = (model: 0.6, copy: 0.8, ngrams: 0.1)

    /// How often the best guess of what drafts is taken to be right.
    func acceptance(for file: ModelFile) -> DraftAcceptance {
        if let expectedAcceptance { return .given(expectedAcceptance) }
        guard case .model(let draft) = source else { return .assumed(Self.carefulAcceptance.ngrams) }
        let careful = draft.isCopy(of: file) ? Self.carefulAcceptance.copy : Self.carefulAcceptance.model
        return kept?.acceptance(of: draft, for: file, orElse: careful) ?? .assumed(careful)
    }

    public static let none = DraftOptions(.none)
    public static let automatic = DraftOptions(.automatic)
}
