import LeafFormat
import LeafSystem
import LeafTokenizer
import Testing

/// CPM-Ant's own tokenizer, loaded once.
enum Ant {
    static let tokenizer: Tokenizer = {
        do { return try Tokenizer.bundled() } catch { preconditionFailure("\(error)") }
    }()
}

/// Texts are equal if their scalars are: `String ==` takes canonical equivalents for equal.
func scalars(_ text: String) -> [Unicode.Scalar] { Array(text.unicodeScalars) }

@Suite struct TokenizerTests {
    private let tokenizer = Ant.tokenizer
    private let golden = Golden.recorded

    @Test func goldenTextsAreThere() {
        #expect(golden.cases.count == 331)
        #expect(golden.decode.count == 50)
    }

    @Test func idsEqualTheReference() {
        for text in golden.cases {
            #expect(tokenizer.encode(text.text) == text.liveIDs, "\(text.testDescription)")
        }
    }

    @Test func wordsEqualJieba() {
        for text in golden.cases {
            #expect(tokenizer.words(text.text).map(scalars) == text.jieba.map(scalars), "\(text.testDescription)")
        }
    }

    @Test func textOfIDsEqualsTheReference() throws {
        for row in golden.decode {
            #expect(scalars(try tokenizer.decode(row.ids)) == scalars(row.liveDecoded), "\(row.ids)")
        }
        for text in golden.cases {
            #expect(scalars(try tokenizer.decode(text.liveIDs)) == scalars(text.liveDecoded), "\(text.testDescription)")
        }
    }

    @Test func textWithoutUnknownsComesBack() throws {
        for text in golden.cases where text.liveRoundTrip {
            #expect(scalars(try tokenizer.decode(tokenizer.encode(text.text))) == scalars(text.text))
        }
    }

    @Test func canonicalEquivalentsAreDifferentTexts() {
        // U+F901 is canonically equal to 更, U+212A to K, U+037E to a semicolon: none is a token.
        for (equivalent, token) in [("\u{F901}", "更"), ("\u{212A}", "K"), ("\u{037E}", ";")] {
            #expect(equivalent == token)
            #expect(tokenizer.encode(equivalent) == [Tokenizer.unknownID])
            #expect(tokenizer.encode(token) != [Tokenizer.unknownID])
        }
    }

    @Test func scalarsOfOneCharacterAreTokensOfTheirOwn() {
        #expect(tokenizer.encode("\r\n") == [Tokenizer.unknownID, Tokenizer.newlineID])
        #expect(tokenizer.words("a\r\r\nb").map(scalars) == ["a", "\r", "\r\n", "b"].map(scalars))
        #expect(tokenizer.encode("👩\u{200D}👩").count == 3)
    }

    @Test func aWordOfMoreThanTwoHundredScalarsIsOneUnknown() {
        let longest = String(repeating: "a", count: 200)
        #expect(!tokenizer.encode(longest).contains(Tokenizer.unknownID))
        #expect(tokenizer.encode(longest + "a") == [Tokenizer.unknownID])
        #expect(tokenizer.encode(longest + "a b").count == 3)
    }

    @Test func specialTokensInTextAreSpelledOut() throws {
        #expect(tokenizer.encode("<s>").count == 3)
        #expect(try tokenizer.decode([Tokenizer.bosID, Tokenizer.eosID, 0]) == "<s></s><pad>")
        #expect(try tokenizer.decode([Tokenizer.newlineID, 5]) == "\n ")
    }

    @Test func idsOutOfRangeAreRefusedAndNegativeOnesDropped() throws {
        #expect(throws: LeafError(.badInput, "id 30720 is not in the vocabulary; ids go up to 30719")) {
            try tokenizer.decode([30, 30720])
        }
        #expect(throws: LeafError.self) { try tokenizer.decode([.max]) }
        #expect(try tokenizer.decode([-1, 10, .min]) == "!")
        #expect(tokenizer.token(30720) == nil)
        #expect(tokenizer.token(-1) == nil)
    }

    @Test func emptyTextHasNoIDs() throws {
        #expect(tokenizer.encode("").isEmpty)
        #expect(tokenizer.words("").isEmpty)
        #expect(try tokenizer.decode([]).isEmpty)
    }

    @Test func dictionaryAndVocabularyStayBelowTwelveMegabytesAndTheirBound() {
        #expect(tokenizer.byteCount > 3_000_000)
        #expect(tokenizer.byteCount < 12_000_000)
        let bound = Tokenizer.heapBound(
            vocabularyBytes: Tokenizer.bundledVocabulary.count, segmenterBytes: Tokenizer.bundledSegmenterData.count)
        #expect((tokenizer.byteCount..<20_000_000).contains(bound))
    }

    /// A budget that was named in one process does in another, whatever malloc has there.
    @Test func theirBytesDoNotDependOnWhatWasFreedBefore() throws {
        let bytes = try Tokenizer.bundled().byteCount
        for size in stride(from: 1000, to: 400_000, by: 33_333) {
            let held = (0..<40).map { [UInt8](repeating: 0, count: size + $0) }
            var holes = held.map { $0.map { ~$0 } }
            holes.removeAll { $0.count.isMultiple(of: 2) }
            #expect(try Tokenizer.bundled().byteCount == bytes)
        }
    }
}
