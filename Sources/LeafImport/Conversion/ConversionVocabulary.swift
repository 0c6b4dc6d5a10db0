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
            guard !Self.isNumbered(text) else {
                throw LeafError(
                    .badInput,
                    "\(path) has a number behind a tab in its lines, where each line is a token; "
                        + "`cut -f1` leaves the tokens alone")
            }
            let style = Vocabulary.Style(of: text)
            let count: Int
            do {
                count = try Vocabulary(text: text, style: style).count
            } catch {
                throw LeafError(error.kind, "\(path): \(error.description)")
            }
            guard count == vocabSize else {
                throw LeafError(
                    .badInput, "\(path) has \(count.of("token")), the model \(vocabSize)",
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

    /// Whether most lines are a token, a tab and a number, as other programs list the pieces of their vocabularies.
    /// Read as tokens, no text would hold them.
    private static func isNumbered(_ text: [UInt8]) -> Bool {
        var (lines, numbered) = (0, 0)
        for line in text.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            lines += 1
            guard let tab = line.lastIndex(of: UInt8(ascii: "\t")), tab > line.startIndex else { continue }
            let number = String(decoding: line[(tab + 1)...].prefix(64), as: UTF8.self)
            if Double(number) != nil { numbered += 1 }
        }
        return numbered * 2 > lines
    }
}
