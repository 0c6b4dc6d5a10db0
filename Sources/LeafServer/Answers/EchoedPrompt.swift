import LeafGeneration
import LeafTokenizer
import LeafWire
import Leafcutter

/// A prompt that stands in front of its continuations.
struct EchoedPrompt: Sendable {
    /// As it was given, or the text of its ids.
    let text: String
    /// The ids that were given, and where each begins in the text.
    let ids: [Int32]
    let offsets: [Int]
    /// Scalars of the text.
    let length: Int

    /// - Parameters:
    ///   - given: the prompt as the body has it.
    ///   - ids: as the model sees it, `<s>` first.
    init(_ given: OpenAIText, ids: [Int32], _ file: ModelFile) {
        let shown = given.hidesBegin ? Array(ids.dropFirst()) : ids
        self.ids = shown
        let tokens = shown.map { file.tokenizer?.token($0) ?? "" }
        switch given.prompt {
        case .text(let text):
            self.text = text
            (offsets, length) = Self.places(of: tokens, in: text)
        case .ids:
            text = tokens.joined()
            var (offset, offsets): (Int, [Int]) = (0, [])
            for token in tokens {
                offsets.append(offset)
                offset += token.unicodeScalars.count
            }
            (self.offsets, length) = (offsets, offset)
        }
    }

    /// A prompt whose tokens are not asked for.
    init(shown text: String) {
        (self.text, ids, offsets, length) = (text, [], [], text.unicodeScalars.count)
    }

    /// Where tokens begin in the text that they were cut from. Between them lies what the vocabulary lacks.
    private static func places(of tokens: [String], in text: String) -> (offsets: [Int], length: Int) {
        let scalars = Array(text.unicodeScalars)
        var (offset, offsets): (Int, [Int]) = (0, [])
        for token in tokens {
            let wanted = token.unicodeScalars
            while offset < scalars.count, !scalars[offset...].starts(with: wanted) { offset += 1 }
            offsets.append(offset)
            offset = min(offset + wanted.count, scalars.count)
        }
        return (offsets, scalars.count)
    }

    /// Its tokens with what scoring has given, from the one behind the first on.
    func tokens(_ scored: [TokenLogprobs]) -> [OpenAILogprobs.Token] {
        zip(ids, offsets).enumerated().map { index, token in
            let logprobs = index > 0 && index <= scored.count ? scored[index - 1] : nil
            return OpenAILogprobs.Token(id: token.0, offset: token.1, logprobs: logprobs)
        }
    }
}
