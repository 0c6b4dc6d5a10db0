/// Turns ids into text as they come, never half a character.
///
/// A token is whole scalars, so its text is given out at once, unless its last character could be
/// continued by another token of this vocabulary (a base letter by an accent, half a flag by the
/// other half). No character of CPM-Ant's own vocabulary can.
public struct StreamingDecoder: Sendable {
    /// A character of more scalars is given out in pieces; Unicode's Stream-Safe Text Format has
    /// the same idea and the same number plus two.
    private static let longestCharacter = 32

    private let vocabulary: Vocabulary
    /// At most one character.
    private var held = ""

    public init(vocabulary: Vocabulary) {
        self.vocabulary = vocabulary
    }

    /// The text that is certain once `id` has come, possibly empty. Negative ids have no text, ids
    /// beyond the vocabulary show as U+FFFD.
    public mutating func append(_ id: Int32) -> String {
        guard id >= 0 else { return "" }
        held += vocabulary.token(id) ?? "\u{FFFD}"
        guard let last = held.last, canContinue(last) else { return finish() }
        let ready = held.dropLast()
        held = String(last)
        return String(ready)
    }

    /// What was held back. The decoder is then as new.
    public mutating func finish() -> String {
        defer { held = "" }
        return held
    }

    private func canContinue(_ character: Character) -> Bool {
        character.unicodeScalars.count < Self.longestCharacter
            && vocabulary.joiners.contains { (String(character) + String($0)).count == 1 }
    }
}
