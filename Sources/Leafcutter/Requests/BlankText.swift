import LeafFormat
public import LeafGeneration
public import LeafSystem
import LeafTokenizer

/// A text with blanks as people write it: `床前<blank:2>光`, or `<blank>` if the number of tokens is not known.
public struct BlankText: Sendable, Equatable {
    /// The texts before, between and after the blanks: one more than there are blanks.
    public private(set) var pieces: [String]
    /// The number of tokens of each blank; nil if it is not given.
    public private(set) var lengths: [Int?]

    /// - Throws: `.usage` for a blank whose number is out of range.
    public init(_ text: String) throws(LeafError) {
        let bytes = Array(text.utf8)
        let opening = Array("<blank".utf8)
        (pieces, lengths) = ([], [])
        var (begin, offset) = (0, 0)
        while offset < bytes.count {
            guard bytes[offset...].starts(with: opening), let blank = try Self.blank(bytes[(offset + opening.count)...])
            else {
                offset += 1
                continue
            }
            pieces.append(String(decoding: bytes[begin..<offset], as: UTF8.self))
            lengths.append(blank.length)
            begin = blank.end
            offset = begin
        }
        pieces.append(String(decoding: bytes[begin...], as: UTF8.self))
    }

    /// Makes one blank of open length between two texts.
    public init(before: String, after: String) {
        (pieces, lengths) = ([before, after], [nil])
    }

    /// Parses the rest of a tag after `<blank`: `>` or `:3>`. Returns nil for anything else, which is ordinary text.
    private static func blank(_ rest: ArraySlice<UInt8>) throws(LeafError) -> (length: Int?, end: Int)? {
        switch rest.first {
        case UInt8(ascii: ">"): return (nil, rest.startIndex + 1)
        case UInt8(ascii: ":"):
            let number = rest.dropFirst().prefix { $0 != UInt8(ascii: ">") }
            let digits = String(decoding: number.prefix(20), as: UTF8.self)
            guard number.endIndex < rest.endIndex, number.count <= 20,
                number.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let length = Int(digits), FillRequest.lengths.contains(length)
            else {
                throw LeafError(
                    .usage,
                    "'<blank:\(digits)' is no blank; write <blank:3> for three tokens (1 to "
                        + "\(FillRequest.lengths.upperBound)), or <blank> for the best number",
                    field: "text")
            }
            return (length, number.endIndex + 1)
        default: return nil
        }
    }

    /// The text with `texts` in its blanks.
    public func filled(with texts: [String]) -> String {
        zip(pieces, texts + [""]).map { $0 + $1 }.joined()
    }
}

extension ModelFile {
    /// Makes a request of a text with blanks. Encodes its pieces one by one and drops characters that the vocabulary
    /// lacks.
    ///
    /// - Parameter longest: the most tokens of a blank without a number.
    /// - Throws: `.usage` if the model has no vocabulary, or lacks what the options name.
    public func request(
        toFill text: BlankText, _ options: GenerationOptions = .filling, longest: Int = FillRequest.usualLongest
    ) throws(LeafError) -> FillRequest {
        let tokenizer = try requireTokenizer()
        var ids = [Tokenizer.bosID]
        var unknown = UnknownCharacters()
        var blanks: [FillRequest.Blank] = []
        for (index, piece) in text.pieces.enumerated() {
            ids += tokenizer.knownIDs(of: piece, noting: &unknown)
            if index < text.lengths.count {
                blanks.append(FillRequest.Blank(position: ids.count, length: text.lengths[index]))
            }
        }
        var context = try rows(of: .ids(ids + [Tokenizer.eosID]), options)
        context.unknown = unknown
        let request = FillRequest(context: context, blanks: blanks, longest: longest, options: options)
        try request.validate(for: configuration)
        return request
    }
}
