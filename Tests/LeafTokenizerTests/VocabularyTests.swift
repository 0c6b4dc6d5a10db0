import GoldenSupport
import LeafFormat
import LeafSystem
import LeafTokenizer
import Testing

@Suite struct VocabularyTests {
    private static let specials = "<pad>\n<unk>\n<mask>\n<sep>\n</n>\n</_>\n<s>\n</s>\n"

    private func tokenizer(_ text: String) throws -> Tokenizer {
        Tokenizer(vocabulary: try Vocabulary(text: Array(text.utf8)), segmenter: Ant.tokenizer.segmenter)
    }

    @Test func theBundledOneIsTheReferences() throws {
        let vocabulary = Ant.tokenizer.vocabulary
        #expect(vocabulary.count == 30720)
        #expect(vocabulary.token(0) == "<pad>")
        #expect(vocabulary.token(4) == "\n")
        #expect(vocabulary.token(5) == " ")
        #expect(vocabulary.token(30719) == "#########")
    }

    @Test func everyTokenComesBackFromItsText() throws {
        let tokenizer = Ant.tokenizer
        for id in Int32(0)..<30720 {
            let token = try #require(tokenizer.token(id))
            let ids = tokenizer.encode(token)
            #expect(scalars(try tokenizer.decode(ids)) == scalars(token))
            if tokenizer.words(token).count == 1 { #expect(ids == [id]) }
        }
    }

    @Test func aSmallVocabularyLoads() throws {
        let small = try tokenizer(Self.specials + "a\n中\n中国")
        #expect(small.vocabulary.count == 11)
        #expect(small.encode("中国中a a\n国") == [10, 9, 8, 5, 8, 4, 1])
        #expect(try tokenizer("x").encode("x y") == [0, 1, 1])
    }

    @Test func linesAreStrippedAndEmptyOnesHaveNoID() throws {
        let untidy = try tokenizer("\u{3000}<pad> \r\n\n \t\n<unk>\u{1C}\rb\u{85}\nc d\n")
        #expect(untidy.vocabulary.count == 4)
        #expect((0..<4).map { untidy.token($0) } == ["<pad>", "<unk>", "b", "c d"])
    }

    @Test func theLastOfEqualTokensEncodesAndAllDecode() throws {
        let twice = try tokenizer("a\nb\na\nc")
        #expect(twice.encode("a") == [2])
        #expect(try twice.decode([0, 1, 2, 3]) == "abac")
    }

    @Test func canonicalEquivalentsAreDifferentTokens() throws {
        let both = try tokenizer("\u{E9}\ne\u{301}\n\u{F901}\n更")
        #expect(both.vocabulary.count == 4)
        #expect(both.encode("\u{E9}更\u{F901}") == [0, 3, 2])
        // jieba takes the letter and its accent apart before tokens are looked for.
        #expect(both.encode("e\u{301}") == [1, 1])
    }

    @Test func badFilesAreRefused() {
        let bad: [(String, [UInt8])] = [
            ("nothing", []), ("blank lines", Array(" \n\t\r\n".utf8)), ("half a character", [0x61, 0x0A, 0xE4, 0xB8]),
            ("a surrogate", [0xED, 0xA0, 0x80]), ("overlong", [0xC0, 0x80]),
            ("a huge token", [UInt8](repeating: 0x61, count: Vocabulary.maximumTokenBytes + 1)),
            ("a huge file", [UInt8](repeating: 0x0A, count: Vocabulary.maximumBytes + 1)),
            ("a special token elsewhere", Array("<unk>\n<pad>".utf8)),
            ("a special token twice", Array((Self.specials + "<s>").utf8)),
        ]
        for (name, bytes) in bad {
            #expect(throws: LeafError.self, "\(name)") { try Vocabulary(text: bytes) }
        }
    }

    @Test func noChangeOfASmallVocabularyCrashes() throws {
        var random = SeededGenerator()
        let bytes = Array((Self.specials + "a\n中\n中国\n中国人\nab\n").utf8)
        for _ in 0..<3_000 {
            var changed = bytes
            for _ in 0..<3 {
                changed[Int.random(in: changed.indices, using: &random)] = .random(in: .min ... .max, using: &random)
            }
            guard let vocabulary = try? Vocabulary(text: changed) else { continue }
            let ids = Tokenizer(vocabulary: vocabulary, segmenter: Ant.tokenizer.segmenter).encode("中国人ab")
            #expect(ids.allSatisfy { $0 == 1 || vocabulary.token($0) != nil }, "seed \(random.seed)")
        }
    }
}
