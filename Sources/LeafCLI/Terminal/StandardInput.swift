import Glibc
import LeafSystem
import LeafWire
import Leafcutter

/// Standard input as one text in UTF-8.
enum StandardInput {
    /// Whether a person types the input.
    static var isTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// All of it, as it is.
    ///
    /// - Throws: `.io`, `.usage` if it is longer than a request may be, `.badInput` if it is not valid UTF-8, and
    ///   `.cancelled` if somebody does not want to wait for its end.
    static func text() throws(LeafError) -> String {
        let limit = WireRequest.byteLimit
        guard let bytes = try InputBytes(path: "-").all(atMost: limit) else {
            throw LeafError(
                .usage, "standard input is longer than \(ByteCount(bytes: limit)), which no model reads at once; cut it"
            )
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LeafError(.badInput, "standard input is not valid UTF-8; convert it first")
        }
        return text
    }
}
