import LeafFormat
package import LeafSystem

/// The tokens of a model, by id and by text.
///
/// Everything is compared as UTF-8, by scalars: two spellings of `é` are two texts.
///
/// Source: CPM-Ant reference, sections 4.1 and 4.5.
package struct Vocabulary: Sendable {
    /// The model that the file belongs to.
    package enum Style: Sendable {
        case ant
        /// CPM-Ant+ has spaces inside and around tokens, and its texts never contain tokens between `<` and `>`.
        case antPlus

        /// Recognises the file: CPM-Ant+'s has a token `<eod>`, CPM-Ant's has none.
        package init(of text: [UInt8]) {
            self = .ant
            var rest = text[...]
            while !rest.isEmpty {
                let line = rest.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
                if line.elementsEqual("<eod>".utf8) { self = .antPlus }
                rest = rest[line.endIndex...].dropFirst()
            }
        }
    }

    /// The most bytes of a vocabulary file; the largest known one (CPM-Ant+) has one million.
    package static let maximumBytes = LeafFile.maximumVocabularyBytes
    /// The most bytes of a token.
    package static let maximumTokenBytes = 1024

    /// The tokens' text, concatenated, valid UTF-8.
    private let text: [UInt8]
    /// Token i is `text[starts[i]..<starts[i + 1]]`.
    private let starts: [UInt32]
    private let index: TokenIndex
    /// Scalars that begin a token and can continue the character before them, such as accents.
    let joiners: [Unicode.Scalar]

    /// Reads a `vocab.txt` with one token per line. White space around a token is dropped (CPM-Ant+ keeps it); its id
    /// is the number of tokens before it. Empty lines have no id. `</n>` is a line feed and `</_>` a space. Of equal
    /// tokens the last one is used to encode; all decode.
    ///
    /// - Throws: `.badInput` for bytes that are not UTF-8, have no token, are more than `maximumBytes`, have a token of
    ///   more than `maximumTokenBytes`, or have one of CPM-Ant's special tokens with another id.
    package init(text bytes: [UInt8], style: Style = .ant) throws(LeafError) {
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

        // Without room to grow.
        self.text = text.map { $0 }
        self.starts = starts.map { $0 }
        self.index = TokenIndex(text: text, starts: starts) { id in
            guard style == .antPlus else { return true }
            let token = text[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
            return Self.isPlainPlusToken(token, id)
        }
        self.joiners = Self.joiners(text: text, starts: starts)
    }

    /// The number of tokens; ids are smaller.
    package var count: Int { starts.count - 1 }

    /// The bytes on the heap.
    package var byteCount: Int { text.heapBytes + starts.heapBytes + index.byteCount }

    /// The text of a token; nil for an id that is out of range. Special tokens other than white space give their names.
    package func token(_ id: Int32) -> String? {
        bytes(of: id).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The text of a token in UTF-8.
    func bytes(of id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < count else { return nil }
        return text[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
    }

}

extension Vocabulary {
    /// A word of more scalars than this is one unknown.
    private static let longestWord = 200

    /// Appends the tokens of a word: always the longest from the left, and an unknown for each scalar that begins no
    /// token.
    ///
    /// - Parameter unknown: takes what has no token.
    func encode(
        _ word: Range<Int>, of text: Span<UInt8>, into ids: inout [Int32], _ unknown: inout UnknownCharacters
    ) {
        guard !isTooLong(word, of: text) else {
            ids.append(SpecialToken.unknown.rawValue)
            unknown.add(word: word, of: text)
            return
        }
        var position = word.lowerBound
        while position < word.upperBound {
            if let match = index.longestMatch(at: position..<word.upperBound, of: text) {
                ids.append(match.token)
                position += match.byteCount
            } else {
                ids.append(SpecialToken.unknown.rawValue)
                unknown.add(at: position, of: text)
                position += UTF8Scalar.width(lead: text[position])
            }
        }
    }

    /// Appends the tokens of a text that is not cut into words, as for CPM-Ant+: always the longest from the left, and
    /// one unknown for all neighbouring scalars that begin no token.
    ///
    /// - Parameter unknown: takes what has no token.
    func encode(_ text: Span<UInt8>, into ids: inout [Int32], _ unknown: inout UnknownCharacters) {
        var position = 0
        var isUnknown = false
        while position < text.count {
            if let match = index.longestMatch(at: position..<text.count, of: text) {
                ids.append(match.token)
                position += match.byteCount
                isUnknown = false
            } else {
                if !isUnknown { ids.append(SpecialToken.unknown.rawValue) }
                unknown.add(at: position, of: text)
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
    /// The line as Python's `str.strip` leaves it, with which the reference reads the file.
    private static func trimmed(_ line: Substring) -> Substring {
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        var scalars = line.unicodeScalars
        while let first = scalars.first, isSpace(first) { scalars.removeFirst() }
        while let last = scalars.last, isSpace(last) { scalars.removeLast() }
        return Substring(scalars)
    }

    /// Whether a text may contain the token: it is not special, and a line feed or a space has the id of its special
    /// token.
    private static func isPlainPlusToken(_ token: ArraySlice<UInt8>, _ id: Int32) -> Bool {
        if token.elementsEqual(SpecialToken.newline.text.utf8) { return id == SpecialToken.newline.rawValue }
        if token.elementsEqual(SpecialToken.space.text.utf8) { return id == SpecialToken.space.rawValue }
        return token.first != UInt8(ascii: "<") || token.last != UInt8(ascii: ">")
    }

    /// Finds the scalars by trying every scalar that begins a token after one character of each kind that can be
    /// continued.
    private static func joiners(text: [UInt8], starts: [UInt32]) -> [Unicode.Scalar] {
        let open = ["a", "\u{1100}", "\u{AC00}", "\u{1F1E8}", "\u{1F469}\u{200D}"]
        var tried: Set<Unicode.Scalar> = []
        for (start, end) in zip(starts, starts.dropFirst()) {
            // ASCII and ideographs continue no character (no token ends in a carriage return), and almost all tokens
            // begin with one.
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
