import LeafSystem
import LeafTokenizer
import Leafcutter

/// The ids of a text of any length, without unknowns: it is encoded piece by piece, cut where the tokenizer cuts
/// anyway.
final class TextTokens {
    /// Bytes of a piece that can not be cut at most.
    let limit: Int
    /// Of the longest piece that came.
    private(set) var longestPiece = 0
    /// What the vocabulary lacks of what came since the beginning.
    private(set) var unknown = UnknownCharacters()

    private let input: InputBytes
    private let tokenizer: Tokenizer
    private var pending: [UInt8] = []
    private var isAtEnd = false

    /// - Parameter path: `-` is standard input.
    /// - Throws: `.io` if it cannot be opened, `.badInput` for a directory.
    init(path: String, _ tokenizer: Tokenizer) throws(LeafError) {
        input = try InputBytes(path: path)
        self.tokenizer = tokenizer
        limit = input.isRepeatable ? 1 << 20 : 1 << 18
    }

    var isRepeatable: Bool { input.isRepeatable }

    /// Begins again. Only what `isRepeatable` can do it.
    func rewind() {
        input.rewind()
        pending.removeAll()
        unknown = UnknownCharacters()
        isAtEnd = false
    }

    /// - Parameter milliseconds: how long to wait; -1 for as long as it takes.
    /// - Throws: `.badInput` for what is not UTF-8, `.usage` for a piece that can be cut nowhere, `.io`.
    func next(waiting milliseconds: Int32) throws(LeafError) -> Arrival<[Int32]> {
        while true {
            if isAtEnd {
                guard !pending.isEmpty else { return .end }
                return .value(try encode(upTo: pending.count))
            }
            guard let piece = try input.next(waiting: milliseconds) else { return .later }
            isAtEnd = piece.isEmpty
            pending += piece
            if let cut = lastCut { return .value(try encode(upTo: cut)) }
            guard pending.count <= limit || isAtEnd else {
                throw LeafError(
                    .usage,
                    "\(input.name) has \(ByteCount(bytes: limit)) without a line break, a comma or a full stop; break its lines"
                )
            }
        }
    }

    /// Behind the last line break; else behind the last mark that is a word of its own.
    private var lastCut: Int? {
        if let lineBreak = pending.lastIndex(of: UInt8(ascii: "\n")) { return lineBreak + 1 }
        // CPM-Ant+ knows no words: its tokens may hold marks and spaces.
        guard tokenizer.segmenter != nil, pending.count >= InputBytes.pieceBytes else { return nil }
        for end in stride(from: pending.count, to: 0, by: -1) {
            if pending[end - 1] == UInt8(ascii: " ") { return end }
            guard end >= 3 else { continue }
            let mark = pending[end - 3..<end]
            if mark.elementsEqual("，".utf8) || mark.elementsEqual("。".utf8) { return end }
        }
        return nil
    }

    private func encode(upTo end: Int) throws(LeafError) -> [Int32] {
        longestPiece = max(longestPiece, end)
        guard let text = String(validating: pending[..<end], as: UTF8.self) else {
            throw LeafError(.badInput, "\(input.name) is not valid UTF-8; convert it first")
        }
        pending.removeFirst(end)
        return tokenizer.knownIDs(of: text, noting: &unknown)
    }

    /// Bytes that a text and its ids take while they are read: the text in an array that has grown and in a string, and
    /// an id of four bytes for each byte at most, in an array that has doubled, without unknowns, and behind those of
    /// the piece before.
    func bytes(longest: Int) -> Int { 2 << 16 +| 28 *| longest }
}
