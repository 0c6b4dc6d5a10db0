import LeafArguments
import Leafcutter

/// `leafcutter embed MODEL [TEXT | -]`
struct EmbedCommand: Command {
    var model = ""
    var text: String?
    var ids: String?
    var pooling = Pooling.mean
    var scoring = ScoringOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<EmbedCommand>(
        name: "embed", summary: "Turn texts into vectors.",
        discussion: """
            The vector of a text is the mean of its last hidden states, after the last norm: one JSON object a text, \
            {"embedding","tokens"}. With - each line of standard input is one text; they share sweeps, and the vectors \
            come in the order of the lines.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .file),
            .optional("TEXT", "One text; - takes each line of standard input.", \.text),
        ],
        options: [
            .value("ids", "LIST", "Token ids in place of the text, with <s>: 6,20,30.", \.ids),
            .value(
                "pool", "NAME", "mean (default), last: the last token's state, or none: a vector for each token.",
                \.pooling,
                suggest: .words(Pooling.allCases.map(\.rawValue))),
        ] + ScoringOptions.all().map { $0.lifted(\.scoring) } + CommonOptions.quietness.map { $0.lifted(\.common) },
        examples: ["embed ant.leaf '今天天气真好'", "embed ant.leaf - < sentences.txt > vectors.jsonl"])

    func run(_ terminal: Terminal) throws(LeafError) {
        let file = try scoring.open(model, terminal)
        let requests = try readPrompts().map { prompt throws(LeafError) in
            EmbeddingRequest(text: try file.rows(of: prompt, scoring.form), pooling: pooling)
        }
        guard !requests.isEmpty else { return }
        var vectors = InOrder<[Float]>()
        try scoring.answer(
            requests, file, terminal, counted: (requests.reduce(0) { $0 + $1.text.ids.count }, requests.count),
            onAnswer: { place, vector in
                vectors.add(vector, at: place) { terminal.print(Self.answer($1, requests[$0])) }
                terminal.progress.show("embedding: \(vectors.done) of \(Quantity.count(requests.count, "text"))")
            })
    }

    private static func answer(_ vector: [Float], _ request: EmbeddingRequest) -> JSONText {
        let tokens = request.text.ids.count
        let width = vector.count / tokens
        func numbers(_ values: ArraySlice<Float>) -> JSONText { .array(values.map { .number(Double($0)) }) }
        return [
            "embedding": request.pooling == .none
                ? .array((0..<tokens).map { numbers(vector[$0 * width..<($0 + 1) * width]) }) : numbers(vector[...]),
            "tokens": .integer(tokens),
        ]
    }

    /// - Throws: `.usage` unless there is exactly one source.
    private func readPrompts() throws(LeafError) -> [Prompt] {
        switch (text, ids) {
        case (nil, nil): throw LeafError(.usage, "TEXT is missing; give a text, - for standard input, or --ids")
        case (.some, .some): throw LeafError(.usage, "give a text or --ids, not both")
        case (nil, .some(let ids)): return [.ids(try TokenIDs(ids).ids)]
        case (.some("-"), nil):
            var input = StandardInput()
            var prompts: [Prompt] = []
            while let line = try input.nextLine() { prompts.append(.text(line)) }
            return prompts
        case (.some(let text), nil): return [.text(text)]
        }
    }
}

extension Pooling: ArgumentValue {}
