public import CPMAntShape
public import LeafFormat
public import LeafGeneration
public import LeafTokenizer

/// How texts become rows of a model.
public struct EvaluationForm: Sendable {
    /// What the inputs are followed by: decoding, soft prompt, segment, adapter.
    public let options: GenerationOptions
    let tokenizer: Tokenizer
    /// The rows that ids become.
    let rows: @Sendable (_ ids: [Int32]) throws(LeafError) -> PromptRows
    /// Ids of an input at most; nil for any number.
    private let inputLimit: Int?
    /// For tasks that ask whether a text is right.
    private let judgementOrReason: Result<Judgement, LeafError>

    /// - Parameters:
    ///   - maxLength: positions of a text at most, soft prompt and target included; the beginning of an input is cut away
    ///     to keep it, `<s>` with it, as CPM-Live's tuning does. Nil reads inputs whole, as its inference does.
    ///   - generates: whether the input leaves room for a target: `options.maxTokens` and an end.
    /// - Throws: `.usage` if that leaves nothing of an input.
    public init(
        tokenizer: Tokenizer, options: GenerationOptions, maxLength: Int?, generates: Bool,
        for configuration: ModelConfiguration,
        rows: @escaping @Sendable (_ ids: [Int32]) throws(LeafError) -> PromptRows
    ) throws(LeafError) {
        self.options = options
        self.tokenizer = tokenizer
        self.rows = rows
        let taken = configuration.promptLength + (generates ? options.maxTokens + 1 : 0)
        inputLimit = maxLength.map { $0 - taken }
        if let maxLength, maxLength <= taken {
            throw LeafError(
                .usage, "a length of \(maxLength) leaves no room for an input: soft prompt and target take \(taken)")
        }
        judgementOrReason = Result { () throws(LeafError) in try Judgement(tokenizer) }
    }

    func judgement() throws(LeafError) -> Judgement { try judgementOrReason.get() }

    /// The last ids, as many as there is room for.
    func cut(_ ids: [Int32]) -> (ids: [Int32], isCut: Bool) {
        guard let inputLimit, ids.count > inputLimit else { return (ids, false) }
        return (Array(ids.suffix(inputLimit)), true)
    }
}

/// CPM-Live's way to let a model judge a text: it asks "is that right?" behind it, and takes the logit of "yes".
public struct Judgement: Sendable {
    private static let question = "[是否正确]"
    private static let yes = "是"

    private let questionIDs: [Int32]
    private let yesID: Int32

    /// - Throws: `.usage` if the vocabulary has no word for it.
    public init(_ tokenizer: Tokenizer) throws(LeafError) {
        questionIDs = tokenizer.encode(Self.question)
        let ids = tokenizer.encode(Self.yes)
        guard ids.count == 1, ids[0] != Tokenizer.unknownID else {
            throw LeafError(
                .usage, "the vocabulary has no token '\(Self.yes)', which a judgement is read from; use another model")
        }
        yesID = ids[0]
    }

    /// What the model reads. The parts are encoded one by one, as CPM-Live does.
    public func ids(of text: [Int32], option: [Int32] = []) -> [Int32] { text + option + questionIDs }

    /// - Parameter rows: of these ids.
    public func request(_ rows: PromptRows) -> ScoreRequest { ScoreRequest(context: rows, target: [yesID]) }

    /// How right the model calls it.
    public static func score(_ answer: [TokenScore]) -> Double { answer.first.map { Double($0.logit) } ?? -.infinity }
}
