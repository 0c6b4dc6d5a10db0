import LeafTokenizer
import Testing

@Suite struct StreamingDecoderTests {
    private func decoder(_ tokens: [String]) throws -> StreamingDecoder {
        StreamingDecoder(vocabulary: try Vocabulary(text: Array(tokens.joined(separator: "\n").utf8)))
    }

    private func pieces(_ decoder: StreamingDecoder, _ ids: [Int32]) -> [String] {
        var decoder = decoder
        return ids.map { decoder.append($0) } + [decoder.finish()]
    }

    @Test func antsTokensComeOutAtOnce() throws {
        let tokenizer = Ant.tokenizer
        for id in Int32(0)..<30720 {
            var decoder = StreamingDecoder(vocabulary: tokenizer.vocabulary)
            #expect(scalars(decoder.append(id)) == scalars(try #require(tokenizer.token(id))))
            #expect(decoder.finish().isEmpty)
        }
    }

    @Test func piecesJoinToTheDecodedText() throws {
        for text in Golden.recorded.cases {
            let pieces = pieces(StreamingDecoder(vocabulary: Ant.tokenizer.vocabulary), text.liveIDs)
            #expect(scalars(pieces.joined()) == scalars(text.liveDecoded))
        }
    }

    @Test func aLetterWaitsForItsAccent() throws {
        let decoder = try decoder(["e", "\u{301}", "中"])
        #expect(pieces(decoder, [0, 1, 2]).map(scalars) == ["", "", "e\u{301}", "中"].map(scalars))
        #expect(pieces(decoder, [0]) == ["", "e"])
    }

    @Test func flagsAndFamiliesStayTogether() throws {
        let decoder = try decoder(["\u{1F1E8}", "\u{1F1F3}", "👩", "\u{200D}", "👧", "x"])
        let shown = pieces(decoder, [0, 1, 2, 3, 4, 5]).filter { !$0.isEmpty }
        #expect(shown.map(scalars) == ["🇨🇳", "👩\u{200D}👧", "x"].map(scalars))
    }

    @Test func anEndlessCharacterIsGivenOutInPieces() throws {
        let shown = pieces(try decoder(["e", "\u{301}"]), [0] + [Int32](repeating: 1, count: 1000))
        #expect(shown.joined().unicodeScalars.count == 1001)
        #expect(shown.allSatisfy { $0.unicodeScalars.count <= 32 })
    }

    @Test func idsWithoutATokenAreHarmless() throws {
        #expect(pieces(try decoder(["a"]), [-1, 0, 1, .max, .min]) == ["", "a", "\u{FFFD}", "\u{FFFD}", "", ""])
    }
}
