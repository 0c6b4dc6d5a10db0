import LeafArguments
import LeafSystem
import LeafWire
import Leafcutter

/// How answers are written that are many.
struct AnswerOptions: Sendable {
    var isOrdered = false
    var format = AnswerFormat.jsonl
    var echoesPrompt = false

    static let all: [CommandOption<AnswerOptions>] = [
        .flag("ordered", "Write answers in the order of the requests (default: as they finish).", \.isOrdered),
        .value(
            "format", "NAME",
            "jsonl (default), csv (quoted as in RFC 4180), or tsv (a tab, a line break and a backslash of a text are "
                + "\\t, \\n and \\\\). Tables have a row of names first, and no summary.",
            \.format, suggest: .words(AnswerFormat.allCases.map(\.rawValue))),
        .flag("echo-prompt", "Write the text of a request beside its answer.", \.echoesPrompt),
    ]

    /// The first of these options that was given.
    var given: String? {
        isOrdered ? "--ordered" : format != .jsonl ? "--format" : echoesPrompt ? "--echo-prompt" : nil
    }

    /// Bytes that answers take besides those that are under way, and the one that is written.
    ///
    /// - Parameters:
    ///   - longest: bytes of a line of the input.
    ///   - ahead: requests that are read and not yet written.
    func bytes(_ room: AnswerRoom, longest: Int, ahead: Int) -> Int {
        // Control characters of a plain text or an id have six bytes in JSON. While it is written, it is there thrice;
        // until then the text itself is kept.
        let echo = Self.escaped *| longest
        return (echoesPrompt ? 3 *| echo +| ahead *| longest : 0)
            +| (isOrdered ? ahead *| (room.line +| (echoesPrompt ? 2 : 1) *| echo) : 0)
    }

    private static let escaped = 6
}

enum AnswerFormat: String, CaseIterable, ArgumentValue {
    case jsonl, csv, tsv
}
