import Foundation
import LeafFormat
import LeafSystem
import LeafTokenizer
import Testing

/// A made-up vocabulary in CPM-Ant+'s form: the true one is not here. Ids by `Scripts/make-compressed-fixtures.py`.
@Suite("CPM-Ant+'s tokenizer") struct AntPlusTests {
    struct Cases: Decodable {
        struct Case: Decodable {
            let text: String
            let ids: [Int32]
        }
        let texts: [Case]
    }

    private let bytes: [UInt8]
    private let tokenizer: Tokenizer
    private let cases: [Cases.Case]

    init() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Golden/compressed")
        bytes = Array(try Data(contentsOf: folder.appending(path: "plus.txt")))
        tokenizer = Tokenizer(vocabulary: try Vocabulary(text: bytes, style: .antPlus), segmenter: nil)
        cases = try JSONDecoder().decode(
            Cases.self, from: Data(contentsOf: folder.appending(path: "plus-cases.json"))
        ).texts
    }

    @Test func idsEqualTheReference() {
        for text in cases { #expect(tokenizer.encode(text.text) == text.ids, "\(text.text)") }
        #expect(cases.contains { $0.ids.contains(Tokenizer.unknownID) })
    }

    @Test func textWithoutUnknownsComesBack() throws {
        for text in cases where !text.ids.contains(Tokenizer.unknownID) {
            #expect(scalars(try tokenizer.decode(text.ids)) == scalars(text.text))
        }
    }

    @Test func noTextHoldsASpecialToken() {
        for id in Int32(0)..<Int32(tokenizer.vocabulary.count) where id != Tokenizer.unknownID {
            guard let token = tokenizer.token(id), token.hasPrefix("<"), token.hasSuffix(">") else { continue }
            #expect(!tokenizer.encode(token).contains(id), "\(token)")
        }
    }

    @Test func oneTokenDecidesTheStyle() {
        #expect(Vocabulary.Style(of: bytes) == .antPlus)
        #expect(Vocabulary.Style(of: Tokenizer.bundledVocabulary) == .ant)
        #expect(Vocabulary.Style(of: Array("<eod> \nx".utf8)) == .ant)
    }

    @Test func aTextIsOneWord() {
        #expect(tokenizer.words("今天 天气") == ["今天 天气"])
        #expect(tokenizer.words("").isEmpty)
    }

    @Test func aVocabularyOfSpecialTokensEncodesNothing() throws {
        let bare = Tokenizer(
            vocabulary: try Vocabulary(text: Array("<pad>\n<unk>\n<eod>".utf8), style: .antPlus), segmenter: nil)
        #expect(bare.encode("<pad>a") == [Tokenizer.unknownID])
    }
}
