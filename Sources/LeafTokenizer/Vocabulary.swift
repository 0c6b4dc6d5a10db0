public import LeafFormat

/// The tokens of a model, by id and by their text.
///
/// Everything is compared as UTF-8, scalar by scalar: two spellings of `é` are two texts.
///
/// Source: CPM-Ant reference, sections 4.1 and 4.5.
public struct Vocabulary: Sendable {
    /// Whose file it is.
    public enum Style: Sendable {
        case ant
        /// CPM-Ant+ has spaces inside and around tokens, and keeps what stands between `<` and `>` out of texts.
        case antPlus

        /// CPM-Ant+'s file has a token `<eod>`, CPM-Ant's has none.
        public init(of text: [UInt8]) {
            self = .ant
            var rest = text[...]
            while !rest.isEmpty {
                let line = rest.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
                if line.elementsEqual("<eod>".utf8) { self = .antPlus }
                rest = rest[line.endIndex...].dropFirst()
            }
        }
    }

    /// Most bytes of a vocabulary file; the largest known (CPM-Ant+) has one million.
    public static let maximumBytes = LeafFile.maximumVocabularyBytes
    /// Most bytes of a token.
    public static let maximumTokenBytes = 1024

    /// The tokens' text, one behind the other, valid UTF-8.
    private let text: [UInt8]
    /// Token i is `text[starts[i]..<starts[i + 1]]`.
    private let starts: [UInt32]
    private let index: TokenIndex
    /// Scalars that begin a token and can continue the character before them, such as accents.
    let joiners: [Unicode.Scalar]

    /// Reads a `vocab.txt`: a token a line, white space around it dropped (CPM-Ant+ keeps it), its id
    /// the number of tokens before it. Empty lines have no id. `</n>` stands for a line feed and
    /// `</_>` for a space. Of equal tokens the last one is used to encode; all decode.
    ///
    /// - Throws: `.badInput` for bytes that are not UTF-8, hold no token, are more than
    ///   `maximumBytes`, have a token of more than `maximumTokenBytes`, or one of CPM-Ant's special
    ///   tokens under another id.
    public init(text bytes: [UInt8], style: Style = .ant) throws(LeafError) {
        guard bytes.count <= Self.maximumBytes else {
            throw Self.error("has \(bytes.count) bytes, the limit is \(Self.maximumBytes)")
        }
        guard (try? UTF8Span(validating: bytes.span)) != nil else { throw Self.error("is not UTF-8") }

        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        var starts: [UInt32] = [0]
        var rest = bytes[...]
        while !rest.isEmpty {
            let line = rest.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
            rest = rest[line.endIndex...].dropFirst()
            let whole = Substring(decoding: line, as: UTF8.self)
            let token = style == .ant ? Self.trimmed(whole) : whole
            guard !token.isEmpty else { continue }
            let id = Int32(starts.count - 1)
            guard token.utf8.count <= Self.maximumTokenBytes else {
                throw Self.error(
                    "has a token of \(token.utf8.count) bytes (id \(id)), the limit is \(Self.maximumTokenBytes)")
            }
            if let special = SpecialToken(name: token) {
                guard special.rawValue == id else {
                    throw Self.error("has \(special.name) under id \(id), CPM-Ant has it under \(special.rawValue)")
                }
                text += special.text.utf8
            } else {
                text += token.utf8
            }
            starts.append(UInt32(text.count))
        }
        guard starts.count > 1 else { throw Self.error("has no tokens") }

        self.text = text
        self.starts = starts
        self.index = TokenIndex(text: text, starts: starts) { id in
            guard style == .antPlus else { return true }
            let token = text[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
            return Self.isPlainPlusToken(token, id)
        }
        self.joiners = Self.joiners(text: text, starts: starts)
    }

    /// Number of tokens; ids are below it.
    public var count: Int { starts.count - 1 }

    /// Heap bytes held.
    public var byteCount: Int { text.capacity + 4 * starts.capacity + index.byteCount }

    /// The text of a token, `nil` for an id that is out of range. Special tokens other than white
    /// space have their names as text.
    public func token(_ id: Int32) -> String? {
        bytes(of: id).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The text of a token in UTF-8.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < count else { return nil }
        return text[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
    }

}

extension Vocabulary {
    /// A word of more scalars is one unknown.
    private static let longestWord = 200

    /// Appends the tokens of a word: from the left the longest each time, and an unknown for a
    /// scalar that begins none.
    func encode(_ word: Range<Int>, of text: Span<UInt8>, into ids: inout [Int32]) {
        guard !isTooLong(word, of: text) else {
            ids.append(SpecialToken.unknown.rawValue)
            return
        }
        var position = word.lowerBound
        while position < word.upperBound {
            if let match = index.longestMatch(at: position..<word.upperBound, of: text) {
                ids.append(match.token)
                position += match.byteCount
            } else {
                ids.append(SpecialToken.unknown.rawValue)
                position += UTF8Scalar.width(lead: text[position])
            }
        }
    }

    /// Appends the tokens of a text that is not cut into words, as CPM-Ant+ does: from the left the
    /// longest each time, and one unknown for all neighbours that begin none.
    func encode(_ text: Span<UInt8>, into ids: inout [Int32]) {
        var position = 0
        var isUnknown = false
        while position < text.count {
            if let match = index.longestMatch(at: position..<text.count, of: text) {
                ids.append(match.token)
                position += match.byteCount
                isUnknown = false
            } else {
                if !isUnknown { ids.append(SpecialToken.unknown.rawValue) }
                position += UTF8Scalar.width(lead: text[position])
                isUnknown = true
            }
        }
    }

    private func isTooLong(_ word: Range<Int>, of text: Span<UInt8>) -> Bool {
        guard word.count > Self.longestWord else { return false }
        var scalars = 0
        for position in word where !UTF8Scalar.isContinuation(text[position]) { scalars += 1 }
        return scalars > Self.longestWord
    }
}

extension Vocabulary {
    /// What Python's `str.strip` leaves, with which the reference reads the file.
    private static func trimmed(_ line: Substring) -> Substring {
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        var scalars = line.unicodeScalars
        while let first = scalars.first, isSpace(first) { scalars.removeFirst() }
        while let last = scalars.last, isSpace(last) { scalars.removeLast() }
        return Substring(scalars)
    }

    /// Whether a text may contain it: no special token, and line feed and space under the ids that
    /// stand for them, whatever other lines say.
    private static func isPlainPlusToken(_ token: ArraySlice<UInt8>, _ id: Int32) -> Bool {
        if token.elementsEqual(SpecialToken.newline.text.utf8) { return id == SpecialToken.newline.rawValue }
        if token.elementsEqual(SpecialToken.space.text.utf8) { return id == SpecialToken.space.rawValue }
        return token.first != UInt8(ascii: "<") || token.last != UInt8(ascii: ">")
    }

    /// Tries every scalar that begins a token behind one character of each kind that can go on.
    private static func joiners(text: [UInt8], starts: [UInt32]) -> [Unicode.Scalar] {
        let open = ["a", "\u{1100}", "\u{AC00}", "\u{1F1E8}", "\u{1F469}\u{200D}"]
        var tried: Set<Unicode.Scalar> = []
        for (start, end) in zip(starts, starts.dropFirst()) {
            // ASCII and ideographs join nothing (no token ends in a carriage return), and nearly all
            // tokens begin with one.
            let lead = text[Int(start)]
            if lead < 0x80 || (0xE4...0xE9).contains(lead) { continue }
            let token = String(decoding: text[Int(start)..<Int(end)], as: UTF8.self)
            if let scalar = token.unicodeScalars.first { tried.insert(scalar) }
        }
        return tried.filter { scalar in open.contains { ($0 + String(scalar)).count == 1 } }.sorted()
    }

    private static func error(_ fault: String) -> LeafError {
        LeafError(.badInput, "the vocabulary \(fault); give the vocab.txt that belongs to the model")
    }
}
