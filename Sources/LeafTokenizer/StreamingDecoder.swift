/// Turns ids into text as they arrive, and never gives half a character.
///
/// A token consists of whole Unicode scalars, so its text is given out at once, unless another token of this vocabulary
/// could continue its last character (an accent after a base letter, the second half of a flag). No token of CPM-Ant's
/// own vocabulary can.
package struct StreamingDecoder: Sendable {
    /// A character with more scalars is given out in parts. Unicode's Stream-Safe Text Format has the same idea, with a
    /// limit two less.
    private static let longestCharacter = 32

    private let vocabulary: Vocabulary
    /// Text that is held back: at most one character.
    private var held = ""

    package init(vocabulary: Vocabulary) {
        self.vocabulary = vocabulary
    }

    /// The text that is certain after this token; may be empty. Negative ids have no text, and ids beyond the
    /// vocabulary give U+FFFD.
    package mutating func append(_ id: Int32) -> String {
        guard id >= 0 else { return "" }
        held += vocabulary.token(id) ?? "\u{FFFD}"
        guard let last = held.last, canContinue(last) else { return finish() }
        let ready = held.dropLast()
        held = String(last)
        return String(ready)
    }

    /// The text that was held back. The decoder is then in its first state.
    package mutating func finish() -> String {
        defer { held = "" }
        return held
    }

    private func canContinue(_ character: Character) -> Bool {
        character.unicodeScalars.count < Self.longestCharacter
            && vocabulary.joiners.contains { (String(character) + String($0)).count == 1 }
    }
}
