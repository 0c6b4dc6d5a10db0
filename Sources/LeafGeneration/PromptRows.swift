public import CPMAntShape
package import LeafExecutor
public import LeafSystem
package import LeafTokenizer

/// The adapter and the soft prompt of a text, which are loaded with the model (`ModelTuning`).
public struct TextTuning: Sendable, Equatable {
    /// The index of an adapter; nil for none.
    public var adapter: Int?
    /// The first row of its soft prompt; nil for the task's own.
    public var softPromptRow: Int?

    public init(adapter: Int? = nil, softPromptRow: Int? = nil) {
        self.adapter = adapter
        self.softPromptRow = softPromptRow
    }
}

/// A text as CPM-Ant reads it: a soft prompt, then the tokens, all of them context.
///
/// - Source: CPM-Ant reference, sections 2.1 and 5.1. Generated tokens are not context: the original computes the same
///   numbers with a cache, and one full pass with this mask gives them too.
public struct PromptRows: Sendable, Equatable {
    public var ids: [Int32]
    /// The number of its soft prompt.
    public var task: Int
    public var segment: Int32
    public var tuning = TextTuning()
    /// What its text had besides and the vocabulary lacks.
    package var unknown = UnknownCharacters()
    /// transformers treats every id 0 as padding: it gets segment 0, and hides one more token at the beginning of the
    /// text.
    var zeroIsPadding = false

    /// - Throws: `.usage` if the model has no such task or segment, or an id is outside of its vocabulary.
    public init(ids: [Int32], task: Int, segment: Int, for configuration: ModelConfiguration) throws(LeafError) {
        guard (0..<configuration.segmentTypes).contains(segment) else {
            throw LeafError(
                .usage, "there is no segment \(segment); this model has 0 to \(configuration.segmentTypes - 1)",
                field: "segment")
        }
        self.ids = ids
        self.task = task
        self.segment = Int32(segment)
        try validate(for: configuration)
    }

    /// - Throws: `.usage` when the model has no such task or segment, or an id is outside its vocabulary.
    func validate(for configuration: ModelConfiguration) throws(LeafError) {
        guard (0..<configuration.promptTypes).contains(task) else {
            throw LeafError(
                .usage, "there is no soft prompt \(task); this model has 0 to \(configuration.promptTypes - 1)",
                field: "task")
        }
        guard (0..<configuration.segmentTypes).contains(Int(segment)) else {
            throw LeafError(
                .usage, "there is no segment \(segment); this model has 0 to \(configuration.segmentTypes - 1)",
                field: "segment")
        }
        if let id = ids.first(where: { $0 < 0 || Int($0) >= configuration.vocabSize }) {
            throw LeafError(
                .usage, "token id \(id) is outside the vocabulary (0 to \(configuration.vocabSize - 1))",
                field: "prompt")
        }
        guard tuning.softPromptRow.map({ (0...Int(Int32.max) - configuration.promptLength).contains($0) }) ?? true
        else {
            throw LeafError(.usage, "there is no soft prompt row \(tuning.softPromptRow ?? 0)")
        }
    }

    /// The number of positions, soft prompt included, that CPM-Ant saw in training. Longer texts work less well.
    public static let trainedLength = 1024

    /// The rows of the whole prompt, for one sweep.
    /// - Parameters:
    ///   - more: rows that will be added, for which there is room then.
    ///   - wantsLogits: returns whether the row of the token with this index in `ids` wants logits.
    package func rows(
        of sequence: SequenceID, in configuration: ModelConfiguration, reserving more: Int = 0,
        wantsLogits: (Int) -> Bool
    ) -> [RowBatch.Row] {
        let promptLength = configuration.promptLength
        // One list from the beginning: two that are joined would be held twice.
        var rows: [RowBatch.Row] = []
        rows.reserveCapacity(promptLength + ids.count + more)
        for index in 0..<promptLength {
            rows.append(
                RowBatch.Row(
                    input: .softPrompt(Int32((tuning.softPromptRow ?? task * promptLength) + index)),
                    sequence: sequence, index: Int32(index), segment: 0, isContext: true, wantsLogits: false,
                    adapter: tuning.adapter))
        }
        let hidden = zeroIsPadding ? ids.count { $0 == 0 } : 0
        for (index, id) in ids.enumerated() {
            rows.append(
                RowBatch.Row(
                    input: .token(id), sequence: sequence, index: Int32(promptLength + index), segment: segment(of: id),
                    isContext: true, isPadding: index < hidden, wantsLogits: wantsLogits(index),
                    adapter: tuning.adapter))
        }
        return rows
    }

    /// The rows of the prompt and of a text behind it, for one sweep that predicts a part of the text. Each token of
    /// the text sees the prompt and those before it; what stands behind the part is left out.
    ///
    /// - Parameters:
    ///   - part: of `target`, not empty. The row before each of its tokens wants logits.
    package func rows(
        of sequence: SequenceID, predicting part: Range<Int>, of target: [Int32], in configuration: ModelConfiguration
    ) -> [RowBatch.Row] {
        let last = ids.count - 1
        var rows = rows(of: sequence, in: configuration, reserving: part.upperBound) { $0 == last && part.contains(0) }
        for (step, id) in target[..<(part.upperBound - 1)].enumerated() {
            var row = row(of: sequence, generated: id, step: step, in: configuration)
            row.wantsLogits = part.contains(step + 1)
            rows.append(row)
        }
        return rows
    }

    /// The row of a generated token.
    /// - Parameters:
    ///   - token: an id of the vocabulary, or after it a row of the soft-prompt table.
    ///   - step: the number of tokens generated before it.
    package func row(
        of sequence: SequenceID, generated token: Int32, step: Int, in configuration: ModelConfiguration
    ) -> RowBatch.Row {
        let softPrompt = token - Int32(configuration.vocabSize)
        return RowBatch.Row(
            input: softPrompt < 0 ? .token(token) : .softPrompt(softPrompt), sequence: sequence,
            index: Int32(configuration.promptLength + ids.count + step), segment: segment(of: token),
            isContext: false, wantsLogits: true, adapter: tuning.adapter)
    }

    /// The row of a draft that has a place.
    ///
    /// - Parameters:
    ///   - number: of the draft in its tree.
    ///   - generated: tokens of the text, behind which the tree stands.
    func row(
        of sequence: SequenceID, draft number: Int, in tree: DraftTree, behind generated: Int,
        _ configuration: ModelConfiguration
    ) -> RowBatch.Row {
        let draft = tree[number]
        precondition(draft.place >= 0, "a draft without a place has no row")
        var row = row(of: sequence, generated: draft.token, step: generated + draft.depth - 1, in: configuration)
        let last = length(in: configuration) + generated - 1
        row.branch = RowBatch.Row.Branch(place: draft.place, behind: draft.parent.map { tree[$0].place } ?? last)
        return row
    }

    private func segment(of id: Int32) -> Int32 { zeroIsPadding && id == 0 ? 0 : segment }

    /// A position that goes out of sight, and the index of the row with which it does.
    struct Hiding {
        let position: Int
        let row: Int
    }

    /// What goes out of sight with the row of the last draft, or of the last token in `history` if there is no draft;
    /// nil if nothing does.
    func hiding(
        after history: TokenHistory, _ drafts: ArraySlice<Int32> = [], in configuration: ModelConfiguration
    ) -> Hiding? {
        guard zeroIsPadding, drafts.last ?? history.counted.last == 0 else { return nil }
        let zeros = history.counted.count { $0 == 0 } + drafts.count { $0 == 0 }
        return Hiding(
            position: configuration.promptLength + zeros - 1,
            row: length(in: configuration) + history.generatedCount + drafts.count - 1)
    }

    /// What has gone out of sight with the rows of generated tokens.
    func hidings(after generated: ArraySlice<Int32>, in configuration: ModelConfiguration) -> [Hiding] {
        guard zeroIsPadding else { return [] }
        var position = configuration.promptLength + ids.count { $0 == 0 }
        return generated.enumerated().filter { $0.element == 0 }.map { step, _ in
            defer { position += 1 }
            return Hiding(position: position, row: length(in: configuration) + step)
        }
    }

    /// The number of cached positions of the prompt.
    public func length(in configuration: ModelConfiguration) -> Int { configuration.promptLength + ids.count }
}
