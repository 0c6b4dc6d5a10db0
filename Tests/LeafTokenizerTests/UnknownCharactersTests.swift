import GoldenSupport
import LeafTokenizer
import Testing

/// What of a text the vocabulary lacks.
@Suite struct UnknownCharactersTests {
    private let tokenizer = Ant.tokenizer

    private func unknown(_ text: String, _ tokenizer: Tokenizer? = nil) -> UnknownCharacters {
        var unknown = UnknownCharacters()
        _ = (tokenizer ?? self.tokenizer).encode(text, noting: &unknown)
        return unknown
    }

    @Test func theyAreNamedOnceInTheirOrderAndCountedEachTime() {
        let found = unknown("春\u{1F980}眠\r\u{1F43A}\u{1F980}不觉晓")
        #expect(found.count == 4)
        #expect(found.named == ["\u{1F980}", "\r", "\u{1F43A}"])
        #expect(unknown("春眠不觉晓，abc\n") == UnknownCharacters())
    }

    @Test func noMoreThanSixteenAreNamed() {
        let animals = String(String.UnicodeScalarView((0x1F980..<0x1F994).compactMap { Unicode.Scalar($0) }))
        let found = unknown(animals + animals)
        #expect(found.count == 40)
        #expect(found.named == animals.unicodeScalars.prefix(16).map { String($0) })
    }

    /// As many as there are ids for them, where each scalar has one.
    @Test func thereIsOneForEachUnknownID() {
        for text in Golden.recorded.cases.map(\.text) {
            // What is too long to be a word has one id.
            guard tokenizer.words(text).allSatisfy({ $0.unicodeScalars.count <= 200 }) else { continue }
            let ids = tokenizer.encode(text).count { $0 == Tokenizer.unknownID }
            #expect(unknown(text).count == ids, "\(text)")
        }
    }

    /// The vocabulary has its letters: it is the word that has no tokens.
    @Test func aWordThatIsTooLongIsUnknownAsAWhole() {
        let word = String(repeating: "ab", count: 150)
        let found = unknown("春\u{1F980}\(word) \(word)c")
        #expect(found.count == 602 && found.named == ["\u{1F980}", "abababababababab…"])
        #expect(unknown(String(repeating: "a", count: 200)) == UnknownCharacters())
    }

    @Test func textsAddUp() {
        var sum = unknown("\u{1F980}\u{1F43A}")
        sum.add(unknown("\u{1F43A}\r"))
        #expect(sum == unknown("\u{1F980}\u{1F43A}\u{1F43A}\r"))
    }

    @Test func twoSpellingsAreTwo() {
        #expect(unknown("\u{212B}\u{1F980}\u{C5}").named.count == 3)
    }

    @Test func neighboursThatShareAnIDAreStillTold() throws {
        let plus = Tokenizer(
            vocabulary: try Vocabulary(text: Array("<pad>\n<unk>\n<eod>\na".utf8), style: .antPlus), segmenter: nil)
        #expect(unknown("a春眠a", plus).named == ["春", "眠"])
    }
}
