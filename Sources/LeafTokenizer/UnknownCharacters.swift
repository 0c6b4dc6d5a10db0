/// Characters of a text that a vocabulary lacks: how many there were, and which. They are scalars, as the tokenizer
/// reads them; all those of a word that is too long count.
package struct UnknownCharacters: Sendable, Equatable {
    /// Distinct characters that are named at most.
    package static let mostNamed = 16

    /// Each as often as it came.
    package private(set) var count = 0
    /// The first distinct ones, in the order of their appearance.
    package private(set) var named: [Unicode.Scalar] = []

    package init() {}

    package mutating func add(_ other: UnknownCharacters) {
        count += other.count
        for scalar in other.named { name(scalar) }
    }

    /// Adds a character, or all of some text.
    mutating func add(_ range: Range<Int>, of text: Span<UInt8>) {
        var position = range.lowerBound
        while position < range.upperBound {
            name(UTF8Scalar.scalar(at: position, of: text))
            count += 1
            position += UTF8Scalar.width(lead: text[position])
        }
    }

    private mutating func name(_ scalar: Unicode.Scalar) {
        if named.count < Self.mostNamed, !named.contains(scalar) { named.append(scalar) }
    }
}
