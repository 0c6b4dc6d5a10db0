package import LeafFormat
package import LeafTokenizer

extension UnknownCharacters {
    /// A field of an answer, `"unknown":["☃"]`; none where the vocabulary has all of the text.
    package var fields: [(key: String, value: JSON)] {
        named.isEmpty ? [] : [("unknown", .strings(named))]
    }

    /// Of what `fields` consists, which may be missing.
    static let shape: [String: ValueShape] = ["unknown": .list(.text)]
}
