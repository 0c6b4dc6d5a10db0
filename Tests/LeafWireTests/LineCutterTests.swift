import LeafWire
import Testing

@Suite struct LineCutterTests {
    private func lines(_ text: [UInt8], limit: Int, pieces: [Int]) -> [LineCutter.Line] {
        var cutter = LineCutter(limit: limit)
        var lines: [LineCutter.Line] = []
        var (rest, turn) = (text[...], 0)
        while !rest.isEmpty {
            cutter.add(Array(rest.prefix(pieces[turn % pieces.count])))
            rest = rest.dropFirst(pieces[turn % pieces.count])
            turn += 1
            while let line = cutter.next() { lines.append(line) }
        }
        if let line = cutter.rest() { lines.append(line) }
        return lines
    }

    /// However the text comes, its lines are those between line feeds, and what is too long keeps its beginning.
    @Test(arguments: [1, 3, 64], ["", "\n", "a", "a\n", "ab\n\n  \ncdefgh\nx", "abcdefghij\nk\nlmnopqrstuvw"])
    func piecesDoNotMatter(piece: Int, text: String) {
        let bytes = Array(text.utf8)
        var expected = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if expected.last?.isEmpty == true { expected.removeLast() }
        let lines = lines(bytes, limit: 4, pieces: [piece, 2])
        #expect(lines.map { Array($0.bytes) } == expected.map { Array($0.prefix(4)) })
        #expect(lines.map(\.byteCount) == expected.map(\.count))
        #expect(lines.map(\.isTooLong) == expected.map { $0.count > 4 })
        #expect(lines.map(\.offset) == expected.map(\.startIndex))
        #expect(lines.map(\.number) == Array(1..<(expected.count + 1)))
    }
}
