public import LeafFormat

/// Text to ids and back, as CPM-Live does for CPM-Ant and CPM-Ant+.
///
/// jieba's words are cut into tokens, each time the longest one at the left; a scalar that begins
/// none is `unknownID`. CPM-Ant+ cuts the whole text so, and gives neighbouring unknowns one id.
/// Nothing is normalized, and special tokens in a text are not recognised: `<s>` is three characters.
///
/// Source: CPM-Ant reference, sections 4.2 and 4.5.
public struct Tokenizer: Sendable {
    public static let unknownID = SpecialToken.unknown.rawValue
    public static let newlineID = SpecialToken.newline.rawValue
    public static let bosID = SpecialToken.begin.rawValue
    public static let eosID = SpecialToken.end.rawValue

    public let vocabulary: Vocabulary
    /// Nil for CPM-Ant+, which knows no words.
    public let segmenter: Segmenter?

    /// - Parameter segmenter: nil beside a vocabulary of CPM-Ant+'s.
    public init(vocabulary: Vocabulary, segmenter: Segmenter?) {
        self.vocabulary = vocabulary
        self.segmenter = segmenter
    }

    /// Heap bytes held, with dictionary and vocabulary.
    public var byteCount: Int { vocabulary.byteCount + (segmenter?.byteCount ?? 0) }

    /// A bound on the heap bytes while a tokenizer is made, the two files included, and after, for a
    /// plan that is made before either is read: 14 MB for CPM-Ant's, of which 6 stay in use.
    package static func heapBound(vocabularyBytes: Int, segmenterBytes: Int) -> Int {
        // Twelve bytes a node and one node a byte, besides texts and indices; eight bytes a node and
        // one node for two bytes. The tables by character are of a fixed size.
        20 * vocabularyBytes + 6 * segmenterBytes + 1 << 20
    }

    /// A bound on the heap bytes while the tokenizer of a model file is read and made; 0 where the file holds none.
    public static func heapBound(of file: LeafFile) -> Int {
        guard let sizes = file.tokenizerSizes else { return 0 }
        return heapBound(vocabularyBytes: sizes.vocabulary, segmenterBytes: sizes.dictionary) + sizes.readingBytes
    }

    /// The ids of a text, without `<s>`, unknowns included.
    public func encode(_ text: String) -> [Int32] {
        let bytes = text.utf8Span.span
        // A copy of its own, or the closure copies all of `self` for each word.
        let vocabulary = vocabulary
        var ids: [Int32] = []
        if let segmenter {
            segmenter.cut(bytes) { word in vocabulary.encode(word, of: bytes, into: &ids) }
        } else {
            vocabulary.encode(bytes, into: &ids)
        }
        return ids
    }

    /// jieba's words, which cover the text; for CPM-Ant+ the text is one.
    public func words(_ text: String) -> [String] {
        segmenter?.words(in: text) ?? (text.isEmpty ? [] : [text])
    }

    /// The text of a row of ids. Negative ones are dropped; special tokens show as their names. CPM-Live's
    /// CPM-Ant+ would write `<` twice.
    ///
    /// - Throws: `.badInput` for an id that is not in the vocabulary.
    public func decode(_ ids: [Int32]) throws(LeafError) -> String {
        var text: [UInt8] = []
        for id in ids where id >= 0 {
            guard let token = vocabulary.bytes(of: id) else {
                throw LeafError(.badInput, "id \(id) is not in the vocabulary; ids go up to \(vocabulary.count - 1)")
            }
            text += token
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The text of one id, `nil` if it is out of range.
    public func token(_ id: Int32) -> String? {
        vocabulary.token(id)
    }
}
