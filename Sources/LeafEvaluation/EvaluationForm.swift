public import CPMAntShape
public import LeafGeneration
public import LeafSystem
public import LeafTokenizer

/// How the texts of a task become rows of a model.
public struct EvaluationForm: Sendable {
    /// Decoding, soft prompt, segment and adapter.
    public let options: GenerationOptions
    let tokenizer: Tokenizer
    /// Turns ids into rows.
    let rows: @Sendable (_ ids: [Int32]) throws(LeafError) -> PromptRows
    /// The most ids of an input; nil for no limit.
    private let inputLimit: Int?
    /// The judgement for tasks that ask whether a text is right, or the reason why the vocabulary allows none.
    private let judgementOrReason: Result<Judgement, LeafError>

    /// - Parameters:
    ///   - maxLength: the most positions of a text, soft prompt and target included. The beginning of a longer input is
    ///     cut away, `<s>` with it, as in CPM-Live's training of adapters. Nil reads inputs whole, as CPM-Live's
    ///     inference does.
    ///   - generates: whether the input must leave positions for a target: `options.maxTokens` and an end.
    /// - Throws: `.usage` if no token of an input would be left.
    public init(
        tokenizer: Tokenizer, options: GenerationOptions, maxLength: Int?, generates: Bool,
        for configuration: ModelConfiguration,
        rows: @escaping @Sendable (_ ids: [Int32]) throws(LeafError) -> PromptRows
    ) throws(LeafError) {
        self.options = options
        self.tokenizer = tokenizer
        self.rows = rows
        let taken = configuration.promptLength +| (generates ? options.maxTokens +| 1 : 0)
        inputLimit = maxLength.map { $0 -| taken }
        if let maxLength, maxLength <= taken {
            throw LeafError(
                .usage, "a length of \(maxLength) leaves no room for an input: soft prompt and target take \(taken)")
        }
        judgementOrReason = Result { () throws(LeafError) in try Judgement(tokenizer) }
    }

    func judgement() throws(LeafError) -> Judgement { try judgementOrReason.get() }

    /// The last ids, up to the limit.
    func cut(_ ids: [Int32]) -> (ids: [Int32], isCut: Bool) {
        guard let inputLimit, ids.count > inputLimit else { return (ids, false) }
        return (Array(ids.suffix(inputLimit)), true)
    }
}

/// CPM-Live's way to let a model judge a text: it adds the question "is that right?", and takes the logit of "yes".
package struct Judgement: Sendable {
    private static let question = "[是否正确]"
    private static let yes = "是"

    private let questionIDs: [Int32]
    private let yesID: Int32

    /// - Throws: `.usage` if the vocabulary lacks the words for it.
    package init(_ tokenizer: Tokenizer) throws(LeafError) {
        questionIDs = tokenizer.encode(Self.question)
        let ids = tokenizer.encode(Self.yes)
        guard ids.count == 1, ids[0] != Tokenizer.unknownID else {
            throw LeafError(
                .usage, "the vocabulary has no token '\(Self.yes)', which a judgement is read from; use another model")
        }
        yesID = ids[0]
    }

    /// The ids to read. The parts are encoded one by one, as in CPM-Live.
    package func ids(of text: [Int32], option: [Int32] = []) -> [Int32] { text + option + questionIDs }

    /// - Parameter rows: the rows of these ids.
    package func request(_ rows: PromptRows) -> ScoreRequest { ScoreRequest(context: rows, target: [yesID]) }

    /// The score of a text: the larger, the more the model considers it right.
    package static func score(_ answer: [TokenScore]) -> Double { answer.first.map { Double($0.logit) } ?? -.infinity }
}
