import LeafTokenizer
import Testing

/// Texts that would take forever if anything looked back or ahead without a bound.
@Suite struct LongTextTests {
    private let tokenizer = Ant.tokenizer

    @Test func tenMegabytesWithoutASeparatorAreOneUnknown() {
        #expect(tokenizer.encode(String(repeating: "a", count: 10_000_000)) == [Tokenizer.unknownID])
    }

    @Test func tenMegabytesOfSignsAreCut() {
        let count = tokenizer.encode(String(repeating: "1.1.", count: 2_500_000)).count
        #expect(count == 2_500_000 * tokenizer.encode("1.1.").count)
    }

    @Test func aMillionCharactersThatAreNoWordGoThroughTheModel() throws {
        let text = String(repeating: "龘", count: 1_000_000)
        #expect(tokenizer.words(text).reduce(0) { $0 + $1.unicodeScalars.count } == 1_000_000)
    }

    @Test func aMillionHanCharactersCutLikeTheirParts() {
        // No word goes across a comma.
        let sentence = Golden.recorded.cases.filter { $0.category == "chinese" }.map(\.text).joined()
        let separated = sentence + "，"
        let once = tokenizer.encode(separated)
        let times = 1_000_000 / separated.unicodeScalars.count
        #expect(tokenizer.encode(String(repeating: separated, count: times)).count == times * once.count)
    }
}
