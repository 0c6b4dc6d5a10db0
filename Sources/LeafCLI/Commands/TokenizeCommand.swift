import LeafArguments
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter tokenize MODEL [TEXT | -]`
struct TokenizeCommand: Command {
    var model = ""
    var text: String?
    var prompts: String?
    var takesLines = false
    var decodes = false
    var showsWords = false
    var common = CommonOptions()

    static let syntax = CommandSyntax<TokenizeCommand>(
        name: "tokenize", summary: "Turn text into token ids, and back.",
        discussion: """
            One line of output for each text, ids without <s>. Characters that the vocabulary lacks are id 1 here; \
            generate drops them. With - (and --lines, which says the same) each line of standard input is a text, with \
            --prompts each line of a file.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .optional("TEXT", "One text; - (default) takes each line of standard input.", \.text),
        ],
        options: [
            .value("prompts", "FILE", "Texts, one a line.", \.prompts, suggest: .file),
            .flag("lines", "With -: each line of standard input is a text (default).", \.takesLines),
            .flag("decode", "Read ids (with blanks or commas between) and write text.", \.decodes),
            .flag("words", "Show the words that the text is cut into first.", \.showsWords),
        ] + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "tokenize ant.leaf 今天天气真好", "tokenize ant.leaf --decode '6 240 3063'",
            "tokenize ant.leaf - --json < poems.txt", "tokenize ant.leaf --prompts poems.txt",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard !(decodes && showsWords) else {
            throw LeafError(.usage, "--decode and --words do not go together; leave one out")
        }
        guard text == nil || prompts == nil else { throw LeafError(.usage, "give a text or --prompts, not both") }
        guard !takesLines || ((text ?? "-") == "-" && prompts == nil) else {
            throw LeafError(
                .usage, "--lines takes the lines of standard input; give - as the text, or --prompts FILE")
        }
        let tokenizer = try ModelFile(path: model).requireTokenizer()
        if let text, text != "-" {
            terminal.output.write(try answer(text, tokenizer) + "\n")
            return
        }
        let input = try LineReader(path: prompts ?? "-", limit: WireRequest.byteLimit)
        if input.isTerminal { terminal.note("reading texts, one a line; Ctrl-D ends them") }
        let interrupt = terminal.interrupt
        reading: while !terminal.output.isClosed {
            try interrupt.check()
            let line: LineCutter.Line
            switch try input.next(waiting: 100) {
            case .value(let next): line = next
            case .later:
                // Whoever asks slowly waits for an answer.
                terminal.output.flush()
                continue
            case .end: break reading
            }
            do throws(LeafError) {
                guard !line.isTooLong else {
                    throw LeafError(
                        .usage,
                        "it has \(ByteCount(bytes: line.byteCount)) and is longer than \(ByteCount(bytes: input.limit))"
                    )
                }
                terminal.output.write(try answer(line.text(), tokenizer) + "\n")
            } catch {
                throw LeafError(error.kind, "\(input.name), line \(line.number): \(error)")
            }
        }
    }

    /// The answer for one text, one line.
    private func answer(_ text: String, _ tokenizer: Tokenizer) throws(LeafError) -> String {
        if decodes {
            let ids = try TokenIDs(text).ids
            return common.isJSON ? try DetokenizeInput(ids).answer(tokenizer).line : try tokenizer.decode(ids)
        }
        if common.isJSON { return TokenizeInput(text, wantsWords: showsWords).answer(tokenizer).line }
        if showsWords { return tokenizer.words(text).joined(separator: " ") }
        return tokenizer.encode(text).map { "\($0)" }.joined(separator: " ")
    }
}

/// Token ids in the form that people type: `6,20,30` or `6 20 30`.
struct TokenIDs {
    let ids: [Int32]

    /// - Throws: `.usage` for a word that is no id.
    init(_ text: String) throws(LeafError) {
        var ids: [Int32] = []
        for word in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            guard let id = Int32(word), id >= 0 else {
                throw LeafError(.usage, "'\(word.prefix(40))' is not a token id; give numbers such as 6,20,30")
            }
            ids.append(id)
        }
        self.ids = ids
    }
}
