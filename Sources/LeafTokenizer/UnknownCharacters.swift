/// Characters of a text that no token stands for: how many there were, and which. They are scalars, as the tokenizer
/// reads them. Most are in no token; of a word that is too long to have tokens, all count, and the word is named.
package struct UnknownCharacters: Sendable, Equatable {
    /// Distinct characters and words that are named at most.
    package static let mostNamed = 16
    /// Of a word its first characters are named.
    private static let namedOfWord = 16

    /// Each as often as it came.
    package private(set) var count = 0
    /// The first distinct ones, in the order of their appearance; a word by its beginning and `…`.
    package private(set) var named: [String] = []

    package init() {}

    package mutating func add(_ other: UnknownCharacters) {
        count += other.count
        for one in other.named { name(one) }
    }

    /// Adds the character at a position.
    mutating func add(at position: Int, of text: Span<UInt8>) {
        count += 1
        name(String(UTF8Scalar.scalar(at: position, of: text)))
    }

    /// Adds a word.
    mutating func add(word: Range<Int>, of text: Span<UInt8>) {
        var (position, scalars) = (word.lowerBound, 0)
        var beginning = ""
        while position < word.upperBound {
            if scalars < Self.namedOfWord { beginning.unicodeScalars.append(UTF8Scalar.scalar(at: position, of: text)) }
            scalars += 1
            position += UTF8Scalar.width(lead: text[position])
        }
        count += scalars
        name(beginning + "…")
    }

    private mutating func name(_ one: String) {
        // As bytes: two spellings of a character are two.
        if named.count < Self.mostNamed, !named.contains(where: { $0.utf8.elementsEqual(one.utf8) }) {
            named.append(one)
        }
    }
}
