public import LeafFormat
public import LeafSystem

/// Text to ids and back, as CPM-Live does for CPM-Ant and CPM-Ant+.
///
/// jieba's words are cut into tokens, always the longest token from the left. A scalar that begins no token is
/// `unknownID`. CPM-Ant+ cuts the whole text in this way, and gives neighbouring unknown scalars one id. Nothing is
/// normalized, and special tokens in a text are not recognised: `<s>` is three characters.
///
/// Source: CPM-Ant reference, sections 4.2 and 4.5.
public struct Tokenizer: Sendable {
    public static let unknownID = SpecialToken.unknown.rawValue
    public static let newlineID = SpecialToken.newline.rawValue
    public static let bosID = SpecialToken.begin.rawValue
    public static let eosID = SpecialToken.end.rawValue

    package let vocabulary: Vocabulary
    /// Nil for CPM-Ant+, which does not cut texts into words.
    package let segmenter: Segmenter?

    /// - Parameter segmenter: nil with a vocabulary of CPM-Ant+.
    package init(vocabulary: Vocabulary, segmenter: Segmenter?) {
        self.vocabulary = vocabulary
        self.segmenter = segmenter
    }

    /// The bytes on the heap, with dictionary and vocabulary.
    public var byteCount: Int { vocabulary.byteCount + (segmenter?.byteCount ?? 0) }

    /// An upper bound of the bytes on the heap while a tokenizer is made and after that, both files included. It serves
    /// a plan that is made before the files are read: 14 MB for CPM-Ant's, of which 6 MB stay in use.
    package static func heapBound(vocabularyBytes: Int, segmenterBytes: Int) -> Int {
        // The vocabulary needs twelve bytes for each node and one node for each byte, besides texts and indices; the
        // segmenter eight bytes for each node and one node for two bytes. The tables by character have a fixed size.
        20 * vocabularyBytes + 6 * segmenterBytes + 1 << 20
    }

    /// A bound on the heap bytes while the tokenizer of a model file is read and made; 0 where the file holds none.
    public static func heapBound(of file: LeafFile) -> Int {
        guard let sizes = file.tokenizerSizes else { return 0 }
        return max(
            heapBound(vocabularyBytes: sizes.vocabulary, segmenterBytes: sizes.dictionary), sizes.readingBytes)
    }

    /// The ids of a text, without `<s>`, with unknown ones.
    public func encode(_ text: String) -> [Int32] {
        var unknown = UnknownCharacters()
        return encode(text, noting: &unknown)
    }

    /// The ids of a text, without `<s>` and without unknown ones, as a model reads it.
    ///
    /// - Parameter unknown: takes the characters that the vocabulary lacks.
    package func knownIDs(of text: String, noting unknown: inout UnknownCharacters) -> [Int32] {
        encode(text, noting: &unknown).filter { $0 != Self.unknownID }
    }

    /// The ids of a text, without `<s>`, with unknown ones.
    ///
    /// - Parameter unknown: takes the characters that the vocabulary lacks.
    package func encode(_ text: String, noting unknown: inout UnknownCharacters) -> [Int32] {
        let bytes = text.utf8Span.span
        // A local copy, because the closure would otherwise copy all of `self` for each word.
        let vocabulary = vocabulary
        var ids: [Int32] = []
        if let segmenter {
            segmenter.cut(bytes) { word in vocabulary.encode(word, of: bytes, into: &ids, &unknown) }
        } else {
            vocabulary.encode(bytes, into: &ids, &unknown)
        }
        return ids
    }

    /// jieba's words, which cover the text; for CPM-Ant+ the whole text is one word.
    public func words(_ text: String) -> [String] {
        segmenter?.words(in: text) ?? (text.isEmpty ? [] : [text])
    }

    /// The text of some ids. Negative ids are dropped, and special tokens give their names. CPM-Live's CPM-Ant+ would
    /// write `<` twice.
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

    /// The text of one id; nil if it is out of range.
    public func token(_ id: Int32) -> String? {
        vocabulary.token(id)
    }
}
