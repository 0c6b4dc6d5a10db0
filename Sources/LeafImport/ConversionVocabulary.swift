import CPMAntShape
import LeafFormat
import LeafSystem
import LeafTokenizer

/// Chooses the vocabulary of a converted model.
struct ConversionVocabulary {
    /// The file unchanged; nil for a model that takes only ids.
    let bytes: [UInt8]?
    /// Whether texts are cut into words before they are encoded.
    let needsSegmenter: Bool
    let warning: String?

    init(_ checkpoint: Checkpoint, _ options: ConversionOptions) throws(LeafError) {
        let vocabSize = checkpoint.configuration.vocabSize
        if let path = options.vocabularyPath ?? checkpoint.files.vocabularyPath {
            let file = try InputFile(path: path)
            let text = try file.bytes(atMost: Vocabulary.maximumBytes, what: "a vocabulary")
            let style = Vocabulary.Style(of: text)
            let count: Int
            do {
                count = try Vocabulary(text: text, style: style).count
            } catch {
                throw LeafError(error.kind, "\(path): \(error.description)")
            }
            guard count == vocabSize else {
                throw LeafError(
                    .badInput, "\(path) has \(count) tokens, the model \(vocabSize)",
                    advice: .setting("vocab", ["FILE"]))
            }
            bytes = text
            needsSegmenter = style == .ant
            warning = nil
        } else if try Vocabulary(text: options.bundledVocabulary).count == vocabSize {
            bytes = options.bundledVocabulary
            needsSegmenter = true
            warning = nil
        } else {
            bytes = nil
            needsSegmenter = false
            warning = "no vocab.txt was found for the \(vocabSize) tokens of this model, so it takes and gives ids only"
        }
    }
}
