public import CPMAntShape
public import LeafFormat
public import LeafTokenizer

/// A `.leaf` file whose header and tokenizer have been read: everything about the model except its weights.
public struct ModelFile: Sendable {
    let ant: CPMAntFile
    /// Nil if the file has no vocabulary; such a model takes and gives only ids.
    public let tokenizer: Tokenizer?
    /// Adapters and soft prompts that are loaded with the weights.
    public var tunings = Tunings()

    /// - Parameter memory: the budget that the model will have: a header or a tokenizer that does not fit it is not
    ///   read.
    /// - Throws: `.io` and `.badInput` when the file cannot be read or is no model, `.budget` when it needs more
    ///   memory.
    public init(path: String, memory: MemoryBudget = .automatic) throws(LeafError) {
        let most: Int? = if case .bytes(let bytes) = memory { bytes } else { nil }
        ant = try CPMAntFile.open(path: path, memory: most)
        let needed = Tokenizer.heapBound(of: ant.leaf)
        if let most, needed > most {
            tokenizer = nil
            throw try tooLarge(vocabulary: needed, most)
        }
        if let data = try ant.leaf.readTokenizer() {
            let style: Vocabulary.Style = data.dictionary == nil ? .antPlus : .ant
            let segmenter = try data.dictionary.map { (data) throws(LeafError) in try Segmenter(data: data) }
            tokenizer = Tokenizer(
                vocabulary: try Vocabulary(text: data.vocabulary, style: style), segmenter: segmenter)
        } else {
            tokenizer = nil
        }
    }

    /// Describes a published size, with CPM-Ant's tokenizer if it is that model. It is enough to plan with and cannot
    /// be opened as a model.
    public init(preset: ModelPreset, weights: WeightFormat = .int8) throws(LeafError) {
        ant = try CPMAntFile(preset: preset, weights: weights)
        tokenizer = preset == .cpmAntPlus10B ? nil : try Tokenizer.bundled()
    }

    /// Names what a usual text needs with all its parts, since the text that is meant cannot be counted yet.
    private func tooLarge(vocabulary: Int, _ most: Int) throws(LeafError) -> LeafError {
        let tokens = 512
        let least = try Model.plan(
            self, ModelOptions(memory: .bytes(.max), capacity: ModelOptions.Capacity(context: tokens))
        ).minimum
        let whole = ((least +| (1 << 20 - 1)) >> 20) << 20
        return LeafError(
            .budget,
            "\(leaf.path) needs at least \(vocabulary.sizeText) for its vocabulary alone, and \(whole.sizeText) with a text "
                + "of \(tokens) tokens, where \(most.sizeText) may be taken", advice: .memory(bytes: whole))
    }

    public var leaf: LeafFile { ant.leaf }
    public var configuration: ModelConfiguration { ant.configuration }

    /// - Throws: `.usage` when the model has no vocabulary.
    public func requireTokenizer() throws(LeafError) -> Tokenizer {
        guard let tokenizer else {
            throw LeafError(
                .usage, "\(leaf.path) holds no vocabulary; give ids, or convert it again with a vocabulary")
        }
        return tokenizer
    }
}
