import LeafArguments
import Leafcutter

/// How requests are read that come one a line.
struct LineOptions: Sendable {
    var context = 512
    var skipsBad = false

    static let all: [CommandOption<LineOptions>] = [
        .value(
            "context", "N",
            "With lines from a pipe: tokens of a request at most, the soft prompt and what is generated included "
                + "(default 512).", \.context),
        .flag("skip-bad", "Answer a line that makes no sense with an error and go on.", \.skipsBad),
    ]

    private static let contexts = 1...1 << 20

    func validate() throws(LeafError) {
        guard Self.contexts.contains(context) else {
            throw LeafError(.usage, "--context \(context) is not between 1 and \(Self.contexts.upperBound)")
        }
    }

    /// Bytes of a line from a pipe at most: room for `context` tokens, however they are written.
    var pipeLineLimit: Int { min(1 << 20, 1 << 16 + 64 * context) }
}
