import LeafArguments
import LeafSystem
import Leafcutter

/// How requests are read that come one a line, and how their answers are written.
struct LineOptions: Sendable {
    var requests: String?
    var prompts: String?
    var takesLines = false
    /// What `--context` says; nil unless given.
    var givenContext: Int?
    /// Tokens that a request of a pipe may have where nothing says so.
    var usualContext = 512
    var skipsBad = false
    var answers = AnswerOptions()

    /// Where requests come from that are many.
    static let sources: [CommandOption<LineOptions>] = [
        .value(
            "requests", "FILE", "Many requests on shared sweeps, one JSON object a line; - is standard input.",
            \.requests, suggest: .file),
        .value(
            "prompts", "FILE", "The same with a plain list, one text a line; empty lines are passed.", \.prompts,
            suggest: .file),
        .flag("lines", "With -: each line of standard input is a text, as --prompts - has it.", \.takesLines),
    ]

    static let all: [CommandOption<LineOptions>] =
        [
            .number(
                "context", "N", .context,
                "With lines from a pipe: tokens of a request at most, the soft prompt and what is generated included "
                    + "(default 512).", \.givenContext),
            .flag("skip-bad", "Answer a line that makes no sense with an error and go on.", \.skipsBad),
        ] + AnswerOptions.all.map { $0.lifted(\.answers) }

    /// Tokens that a request of a pipe may have.
    var context: Int { givenContext ?? usualContext }

    /// Bytes of a line from a pipe at most: room for `context` tokens, however they are written.
    var pipeLineLimit: Int { min(1 << 20, 1 << 16 + 64 * context) }

    /// Where many requests come from; nil where there is one.
    ///
    /// - Parameters:
    ///   - text: the argument that stands for one; nil if it is missing.
    ///   - hasIDs: whether ids stand for one.
    /// - Throws: `.usage` for what goes not together.
    func source(beside text: String?, hasIDs: Bool = false) throws(LeafError) -> RequestSource? {
        guard requests == nil || prompts == nil else {
            throw LeafError(.usage, "give --requests or --prompts, not both")
        }
        let file =
            requests.map { RequestSource(path: $0, isPlain: false) }
            ?? prompts.map { RequestSource(path: $0, isPlain: true) }
        if let file {
            let name = file.isPlain ? "--prompts" : "--requests"
            guard text == nil, !hasIDs else { throw LeafError(.usage, "give a text or \(name), not both") }
            guard !takesLines else { throw LeafError(.usage, "give --lines or \(name), not both") }
            return file
        }
        guard takesLines else {
            if let name = answers.given ?? (skipsBad ? "--skip-bad" : nil) {
                throw LeafError(.usage, "\(name) belongs to --requests, --prompts or --lines, which are missing")
            }
            guard givenContext == nil else {
                throw LeafError(
                    .usage,
                    "--context says how long requests of a pipe may be, and there are none; one text takes what it "
                        + "needs")
            }
            return nil
        }
        guard text == nil || text == "-", !hasIDs else {
            throw LeafError(
                .usage, "--lines takes the lines of standard input; give - as the text, or --prompts FILE")
        }
        return RequestSource(path: "-", isPlain: true)
    }
}

/// Where requests come from that are many.
struct RequestSource: Sendable, Equatable {
    /// `-` is standard input.
    let path: String
    /// Whether a line is a text; it is a JSON object otherwise.
    let isPlain: Bool
}
