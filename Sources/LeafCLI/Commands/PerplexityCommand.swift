import Glibc
import LeafArguments
import Leafcutter

/// `leafcutter perplexity MODEL FILE`
struct PerplexityCommand: Command {
    var model = ""
    var path = ""
    var context = 512
    var stride: Int?
    var prefix = 1
    var scoring = ScoringOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<PerplexityCommand>(
        name: "perplexity", summary: "Measure how well a model predicts a text.",
        discussion: """
            The text is cut into windows of --context tokens, <s> in front of each. The first --prefix of them, <s> among \
            them, are read as a prompt is; each further token sees these and the ones before it, so that nothing it is \
            scored for is in sight. With --stride below the window's length, windows overlap and only the tokens that no \
            window before has scored are counted. Tokens that the vocabulary lacks are dropped, as generate does.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .file),
            .required("FILE", "A text in UTF-8.", \.path, suggest: .file),
        ],
        options: [
            .value("context", "N", "Tokens of a window, <s> included (default 512).", \.context),
            .value("stride", "N", "Tokens from one window to the next (default: no overlap).", \.stride),
            .value("prefix", "N", "Tokens that are read as a prompt, <s> included (default 1).", \.prefix),
        ] + ScoringOptions.all().map { $0.lifted(\.scoring) } + CommonOptions.all.map { $0.lifted(\.common) },
        examples: ["perplexity ant.leaf news.txt --context 512 --stride 256"])

    func run(_ terminal: Terminal) throws(LeafError) {
        let file = try scoring.open(model, terminal)
        let ids = try readIDs(file)
        let windows = try TextWindows(ids, context: context, prefix: prefix, stride: stride)
        let requests = try windows.all.map { window throws(LeafError) in
            ScoreRequest(context: try file.rows(of: .ids(window.prefix), scoring.form), target: window.target)
        }
        // By window, so that the sum does not depend on the order in which they finish.
        var sums = Array(repeating: 0.0, count: requests.count)
        var done = 0
        try scoring.answer(
            requests, file, terminal, counted: (windows.scoredTokens, requests.count),
            onAnswer: { place, scores in
                sums[place] = scores.dropFirst(windows.all[place].alreadyScored).reduce(0) { $0 + $1.logprob }
                done += 1
                terminal.progress.show("scoring: \(done) of \(Quantity.count(requests.count, "window"))")
            },
            finish: { model throws(LeafError) in
                let characters = try file.requireTokenizer().decode(windows.scored).unicodeScalars.count
                let report = PerplexityReport(
                    logprob: sums.reduce(0, +), tokens: windows.scoredTokens, characters: characters,
                    windows: requests.count)
                terminal.output.write(common.isJSON ? report.json(model).line + "\n" : report.text)
                terminal.output.flush()
            })
    }

    private func readIDs(_ file: ModelFile) throws(LeafError) -> [Int32] {
        let tokenizer = try file.requireTokenizer()
        let input = try InputFile(path: path)
        let bytes = try input.bytes(at: 0, count: input.byteCount)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LeafError(.badInput, "\(path) is not valid UTF-8; convert it first")
        }
        return tokenizer.encode(text).filter { $0 != Tokenizer.unknownID }
    }
}

/// A long text in pieces that a model can read.
struct TextWindows {
    struct Window {
        /// `<s>` and what is read as a prompt.
        let prefix: [Int32]
        /// What the model says of each token of it.
        let target: [Int32]
        /// Tokens of the target that an earlier window has scored.
        let alreadyScored: Int
    }

    let all: [Window]
    /// What is counted, in order.
    let scored: [Int32]
    var scoredTokens: Int { scored.count }

    /// - Throws: `.usage` for numbers that make no sense, or a text too short to score.
    init(_ ids: [Int32], context: Int, prefix: Int, stride: Int?) throws(LeafError) {
        guard (2...1 << 20).contains(context) else {
            throw LeafError(.usage, "--context \(context) is not between 2 and \(1 << 20)")
        }
        guard (1..<context).contains(prefix) else {
            throw LeafError(.usage, "--prefix \(prefix) is not between 1 and \(context - 1), one less than the context")
        }
        // A window holds <s> and so many tokens of the text.
        let length = context - 1
        let stride = stride ?? length - (prefix - 1)
        guard (1...length - (prefix - 1)).contains(stride) else {
            throw LeafError(
                .usage, "--stride \(stride) is not between 1 and \(length - (prefix - 1)), what a window can score")
        }
        guard ids.count >= prefix else {
            throw LeafError(
                .usage, "the text has \(ids.count) tokens, which leaves nothing to score; give a longer one")
        }
        var windows: [Window] = []
        var scoredUpTo = prefix - 1
        var start = 0
        while scoredUpTo < ids.count {
            let window = ids[start..<min(start + length, ids.count)]
            let target = Array(window.dropFirst(prefix - 1))
            windows.append(
                Window(
                    prefix: [Tokenizer.bosID] + window.prefix(prefix - 1), target: target,
                    alreadyScored: scoredUpTo - (start + prefix - 1)))
            scoredUpTo = window.endIndex
            start += stride
        }
        all = windows
        scored = Array(ids.dropFirst(prefix - 1))
    }
}

/// What `leafcutter perplexity` found out.
struct PerplexityReport {
    /// Of all that was counted.
    let logprob: Double
    let tokens: Int
    let characters: Int
    let windows: Int

    private var perToken: Double { exp(-logprob / Double(tokens)) }
    private var perCharacter: Double { exp(-logprob / Double(max(1, characters))) }

    var text: String {
        Quantity.table([
            ("perplexity", "\(perToken.fixed(4)) a token, \(perCharacter.fixed(4)) a character"),
            ("counted", "\(Quantity.count(tokens, "token")), \(Quantity.count(characters, "character"))"),
            ("windows", "\(windows)"),
        ])
    }

    func json(_ model: Model) -> JSONText {
        [
            "perplexity": .number(perToken), "perplexity_per_character": .number(perCharacter),
            "logprob": .number(logprob), "tokens": .integer(tokens), "characters": .integer(characters),
            "windows": .integer(windows), "memory": .memory(model), "io": .io(model),
        ]
    }
}
