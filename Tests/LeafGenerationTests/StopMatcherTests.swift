import GoldenSupport
import LeafGeneration
import LeafTokenizer
import Testing

@Suite struct StopMatcherTests {
    /// What comes out of each piece, then what was held back.
    private func pieces(_ stops: [String], _ text: [String]) -> (out: [String], stopped: Bool) {
        var matcher = StopMatcher(stops)
        let out = text.map { matcher.append($0) }
        return (out + [matcher.finish()], matcher.hasStopped)
    }

    @Test func textWithoutStopStringsPasses() {
        #expect(pieces([], ["白日", "依山"]).out == ["白日", "依山", ""])
        #expect(pieces(["。"], ["白日", "依山"]).out == ["白日", "依山", ""])
    }

    @Test func theStopStringAndWhatFollowsAreNotPrinted() {
        let result = pieces(["。"], ["尽，黄河", "流。欲穷", "千里"])
        #expect(result.out == ["尽，黄河", "流", "", ""])
        #expect(result.stopped)
    }

    @Test func aPossibleBeginningIsHeldBack() {
        #expect(pieces(["END"], ["aE", "N", "D b"]).out == ["a", "", "", ""])
        #expect(pieces(["END"], ["aE", "N", "x"]).out == ["a", "", "ENx", ""])
        #expect(pieces(["END"], ["aE", "N"]).out == ["a", "", "EN"])
        #expect(pieces(["aab"], ["a", "a", "a", "b"]).out == ["", "", "a", "", ""])
    }

    @Test func partsOfACharacterAreNotTakenForAStopString() {
        // 佩 and 你 begin with the same two bytes.
        #expect(pieces(["你好"], ["佩", "你", "佩"]).out == ["佩", "", "你佩", ""])
    }

    @Test func theFirstToBeCompleteWinsAndOfThoseTheLongest() {
        #expect(pieces(["abcd", "bc"], ["xabcd"]).out == ["xa", ""])
        #expect(pieces(["c", "abc"], ["xabcd"]).out == ["x", ""])
    }

    @Test func canonicalEquivalentsDoNotStop() {
        #expect(pieces(["é"], ["e\u{301}"]).stopped == false)
    }

    @Test func piecesOfAnySizeGiveTheSameText() {
        var generator = SeededGenerator(seed: 77)
        let alphabet = Array("ab你").map(String.init)
        func randomText(_ lengths: ClosedRange<Int>) -> [String] {
            (0..<Int.random(in: lengths, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
        }
        for _ in 0..<2000 {
            let stops = (0..<Int.random(in: 1...3, using: &generator)).map { _ in randomText(1...4).joined() }
            let characters = randomText(0...20)
            // The plain way: look at every prefix until one ends with a stop string.
            let text = characters.joined()
            let ending = text.indices.map { text[...$0] }.first { prefix in stops.contains { prefix.hasSuffix($0) } }
            let longest = ending.map { prefix in stops.filter { prefix.hasSuffix($0) }.map(\.count).max() ?? 0 }
            let expected = ending.map { String($0.dropLast(longest ?? 0)) } ?? text
            let single = pieces(stops, characters)
            #expect(single.out.joined() == expected, "\(stops) \(text)")
            #expect(single.stopped == (ending != nil))
            #expect(pieces(stops, [text]).out.joined() == expected, "\(stops) \(text)")
        }
    }

    @Test func tokensBecomeTextUpToTheStopString() throws {
        let tokenizer = try Tokenizer.bundled()
        var stream = TextStream(vocabulary: tokenizer.vocabulary, stop: ["。\n"])
        var text = ""
        for id in tokenizer.encode("黄河入海流。\n欲穷千里目") where !stream.hasStopped { text += stream.append(id) }
        #expect(text + stream.finish() == "黄河入海流")
        #expect(stream.hasStopped)
    }
}
