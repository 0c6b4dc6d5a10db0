import Leafcutter

/// How an error is told on a terminal: a library names facts, and the command line adds which option changes them.
///
/// Names of files and tensors come from anywhere; nothing in them moves the cursor or turns the text around.
struct ErrorSentence: CustomStringConvertible {
    let description: String

    init(_ error: LeafError) { description = Self.visible(error.description) }

    /// The text with its control characters spelt out.
    ///
    /// - Parameter keepingLines: whether line breaks stay.
    static func visible(_ text: String, keepingLines: Bool = false) -> String {
        guard text.unicodeScalars.contains(where: { isInvisible($0) }) else { return text }
        var visible = ""
        for scalar in text.unicodeScalars {
            if isInvisible(scalar), !(keepingLines && scalar == "\n") {
                visible += scalar == "\n" ? "\\n" : scalar == "\t" ? "\\t" : "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                visible.unicodeScalars.append(scalar)
            }
        }
        return visible
    }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: true
        // What turns the direction of writing.
        case 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
