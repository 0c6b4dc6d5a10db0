import FoundationEssentials
import LeafArguments
import Leafcutter

/// How an input is scored.
enum ScoreRule: String, CaseIterable, ArgumentValue {
    /// CPM-Live's: which option the model calls right.
    case choice
    /// Which option is the most likely continuation.
    case likelihood
    /// How right the model calls an input.
    case rank
}

/// One line of a score file: the texts that it wants scored, and what it makes of the scores.
struct ScoreQuestion {
    enum Kind {
        case target
        case choice
        case likelihood
        case rank
    }

    let id: JSONText
    let kind: Kind
    let texts: [ScoreRequest]

    /// - Parameter scores: for each text the scores of its target's tokens.
    func answer(_ scores: [[TokenScore]]) -> JSONText {
        switch kind {
        case .target:
            return [
                "id": id, "logprob": .number(scores[0].reduce(0) { $0 + $1.logprob }),
                "token_logprobs": .array(scores[0].map { .number($0.logprob) }),
                "ranks": .array(scores[0].map { .integer($0.rank) }),
            ]
        case .choice: return choice(scores.map { Judgement.score($0) })
        case .likelihood: return choice(scores.map { $0.reduce(0) { $0 + $1.logprob } })
        case .rank: return ["id": id, "score": .number(Judgement.score(scores[0]))]
        }
    }

    private func choice(_ scores: [Double]) -> JSONText {
        [
            "id": id, "choice": .integer(ChoiceTask.Output(scores: scores).choice),
            "scores": .array(scores.map { .number($0) }),
        ]
    }
}

/// The questions of a JSON lines file, all of them known to make sense.
struct ScoreFile {
    let questions: [ScoreQuestion]

    /// - Throws: `.usage` naming the first line that makes no sense.
    init(path: String, rule: ScoreRule, form: GenerationOptions, for file: ModelFile) throws(LeafError) {
        questions = try JSONLines(path: path).map { line throws(LeafError) in
            let fields: Fields = try line.decode()
            return try Self.question(fields, id: fields.id?.json ?? .integer(line.number), rule, form, file)
        }
    }

    private struct Fields: Decodable {
        enum CodingKeys: String, CodingKey {
            case id, context, target, input, options
            case contextIDs = "context_ids"
            case targetIDs = "target_ids"
        }
        let id: RequestLine.ID?
        let context: String?
        let contextIDs: [Int32]?
        let target: Target?
        let targetIDs: [Int32]?
        let input: String?
        let options: [String]?

        /// Beside an input it is the number of the right option, which is of no use here.
        struct Target: Decodable {
            let text: String?

            init(from decoder: any Decoder) throws { text = try? decoder.singleValueContainer().decode(String.self) }
        }
    }

    private static func question(
        _ fields: Fields, id: JSONText, _ rule: ScoreRule, _ form: GenerationOptions, _ file: ModelFile
    ) throws(LeafError) -> ScoreQuestion {
        func text(_ context: [Int32], _ target: [Int32]) throws(LeafError) -> ScoreRequest {
            let request = ScoreRequest(context: try file.rows(of: .ids(context), form), target: target)
            try request.validate(for: file.configuration)
            return request
        }
        func encode(_ text: String) throws(LeafError) -> [Int32] { try file.requireTokenizer().encode(text) }

        guard let input = fields.input else {
            let context: [Int32] =
                if let ids = fields.contextIDs { ids } else if let given = fields.context {
                    try [Tokenizer.bosID] + encode(given)
                } else { throw LeafError(.usage, "'context' and 'target', or 'input', are missing") }
            let target: [Int32]
            switch (fields.targetIDs, fields.target?.text) {
            case (let ids?, _): target = ids
            case (nil, let given?): target = try encode(given)
            case (nil, nil): throw LeafError(.usage, "'target' is missing, a text")
            }
            return ScoreQuestion(id: id, kind: .target, texts: [try text(context, target)])
        }
        let context = try [Tokenizer.bosID] + encode(input)
        func judge(_ option: [Int32] = []) throws(LeafError) -> ScoreRequest {
            let judgement = try Judgement(file.requireTokenizer())
            let request = judgement.request(
                try file.rows(of: .ids(judgement.ids(of: context, option: option)), form))
            try request.validate(for: file.configuration)
            return request
        }
        if rule == .rank {
            guard fields.options == nil else {
                throw LeafError(.usage, "--rule rank takes no 'options'; use --rule choice or likelihood")
            }
            return ScoreQuestion(id: id, kind: .rank, texts: [try judge()])
        }
        guard let options = fields.options, !options.isEmpty else {
            throw LeafError(.usage, "'options' is missing; use --rule rank to score an input alone")
        }
        var texts: [ScoreRequest] = []
        for option in options {
            let ids = try encode(option)
            texts.append(rule == .choice ? try judge(ids) : try text(context, ids))
        }
        return ScoreQuestion(id: id, kind: rule == .choice ? .choice : .likelihood, texts: texts)
    }
}
