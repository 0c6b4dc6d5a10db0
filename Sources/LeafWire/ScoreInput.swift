import LeafEvaluation
package import LeafFormat
package import LeafGeneration
package import LeafSystem
package import LeafTokenizer
package import Leafcutter

/// How an input is scored.
package enum ScoreRule: String, Sendable, CaseIterable {
    /// CPM-Live's rule: the option that the model judges to be right. Only an adapter teaches that judgement.
    case choice
    /// The option that is the most likely continuation.
    case likelihood
    /// The model's judgement of an input.
    case rank
}

/// What the scores of likelihoods are divided by.
package enum ScoreNormalization: String, Sendable, CaseIterable {
    case length
}

/// Texts to score: `{"id","context" or "context_ids","target" or "target_ids"}` or `{"id","input","options"}`, with
/// `rule`, `normalize`, `task`, `segment`, `delta` and `prompt_embedding`. What else stands there is passed: data files
/// have it.
package struct ScoreInput: Sendable {
    /// What holds for texts that say nothing about it.
    package struct Defaults: Sendable {
        /// Soft prompt, segment and adapter.
        package var form: GenerationOptions
        /// Nil for the one that the model knows: `choice` with an adapter, `likelihood` without.
        package var rule: ScoreRule?
        package var normalization: ScoreNormalization?

        package init(
            form: GenerationOptions = GenerationOptions(), rule: ScoreRule? = nil,
            normalization: ScoreNormalization? = nil
        ) {
            self.form = form
            self.rule = rule
            self.normalization = normalization
        }
    }

    private struct Fields: Sendable {
        var id: RequestID?
        var form: GenerationOptions
        var rule: ScoreRule?
        var normalization: ScoreNormalization?
        var context: String?
        var contextIDs: [Int32]?
        var target: String?
        var targetIDs: [Int32]?
        var input: String?
        var options: [String]?
        /// Whether the target is no text: with a choice it may be the number of the right option.
        var hasOtherTarget = false
    }

    private let fields: Fields
    /// Whether it is one text and nothing else.
    private let isPlain: Bool
    package var id: RequestID? { fields.id }
    /// Fields over HTTP that nobody knows.
    package private(set) var ignored = UnknownFields()

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(
        json: ArraySlice<UInt8>, _ defaults: Defaults = Defaults(), at door: RequestDoor = .line
    ) throws(LeafError) {
        var ignored = UnknownFields()
        var fields = Fields(form: defaults.form, rule: defaults.rule, normalization: defaults.normalization)
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.score.check(&reader)
            case "id": fields.id = try RequestID(&reader)
            case "context": fields.context = try reader.text()
            case "context_ids": fields.contextIDs = try reader.integers()
            case "target":
                fields.hasOtherTarget = try reader.kind() != .text
                if fields.hasOtherTarget { try reader.skip() } else { fields.target = try reader.text() }
            case "target_ids": fields.targetIDs = try reader.integers()
            case "input": fields.input = try reader.text()
            case "options": fields.options = try reader.texts()
            case "rule":
                let rule = try reader.text()
                guard let known = ScoreRule(rawValue: rule) else {
                    throw reader.wrong("is '\(rule.prefix(40))', not choice, likelihood or rank")
                }
                fields.rule = known
            case "normalize":
                let name = try reader.text()
                guard let known = ScoreNormalization(rawValue: name) else {
                    throw reader.wrong("is '\(name.prefix(40))', not length")
                }
                fields.normalization = known
            case _ where OptionFields.form.contains(name):
                try OptionFields.read(name, &reader, into: &fields.form, known: OptionFields.form)
            case _ where door == .server: try ignored.pass(name, &reader)
            default: try reader.skip()
            }
        }
        self.fields = fields
        self.ignored = ignored
        isPlain = false
    }

    /// A text whose log-probability is wanted, or by the rule rank the model's judgement of it.
    ///
    /// - Parameter options: those among which to choose, if the text is a question.
    package init(_ text: String, options: [String] = [], _ defaults: Defaults) {
        var fields = Fields(form: defaults.form, rule: defaults.rule, normalization: defaults.normalization)
        if fields.rule == .rank || !options.isEmpty {
            fields.input = text
            fields.options = options.isEmpty ? nil : options
        } else {
            (fields.context, fields.target) = ("", text)
        }
        self.fields = fields
        isPlain = true
    }

    /// The texts that are scored for it, and what becomes of their scores.
    ///
    /// - Parameters:
    ///   - id: stands in the answer.
    ///   - longest: the most ids of an input, of which each option may make a copy.
    /// - Throws: `.usage` for what makes no sense with this model, `.tooLong`.
    package func question(
        for file: ModelFile, id: JSON? = nil, longest: Int = .max
    ) throws(LeafError) -> ScoreQuestion {
        if let input = fields.input { return try question(about: input, id, file, longest) }
        var unknown = UnknownCharacters()
        func encode(_ text: String) throws(LeafError) -> [Int32] {
            try file.requireTokenizer().encode(text, noting: &unknown)
        }
        let context: [Int32] =
            if let ids = fields.contextIDs { ids } else if let given = fields.context {
                try [Tokenizer.bosID] + encode(given)
            } else { throw LeafError(.usage, "'context' and 'target', or 'input', are missing") }
        let target: [Int32]
        switch (fields.targetIDs, fields.target) {
        case (let ids?, _): target = ids
        case (nil, let given?): target = try encode(given)
        case (nil, nil): throw LeafError.field("target", fields.hasOtherTarget ? "is no text" : "is missing, a text")
        }
        return ScoreQuestion(id: id, kind: .target, texts: [try request(context, target, file)], unknown: unknown)
    }

    /// What was asked, as fields of an answer.
    package var echo: [(key: String, value: JSON)] {
        let prompt = isPlain ? fields.target ?? fields.input : fields.input ?? fields.context
        return (prompt.map { [("prompt", .string($0))] } ?? [])
            + (isPlain || fields.input != nil ? [] : fields.target.map { [("target", .string($0))] } ?? [])
    }

    /// The options of a choice.
    package var options: [String] { fields.options ?? [] }

    /// Each is a text of its own, with the input in front.
    package static let mostOptions = 256

    private func question(
        about input: String, _ id: JSON?, _ file: ModelFile, _ longest: Int
    ) throws(LeafError) -> ScoreQuestion {
        var rule = fields.rule ?? .likelihood
        if fields.rule == nil, try file.isAdapted(by: fields.form) { rule = .choice }
        let tokenizer = try file.requireTokenizer()
        var unknown = UnknownCharacters()
        let context = [Tokenizer.bosID] + tokenizer.encode(input, noting: &unknown)
        guard context.count <= longest else {
            throw LeafError(.tooLong, "the input has \(context.count) tokens, where there is room for \(longest)")
        }
        func judge(_ option: [Int32] = []) throws(LeafError) -> ScoreRequest {
            let judgement = try Judgement(tokenizer)
            let request = judgement.request(
                try file.rows(of: .ids(judgement.ids(of: context, option: option)), fields.form))
            try request.validate(for: file.configuration)
            return request
        }
        if rule == .rank {
            guard fields.options == nil else {
                throw LeafError.field("options", "is not for the rule rank; the rules choice and likelihood take it")
            }
            return ScoreQuestion(id: id, kind: .rank, texts: [try judge()], unknown: unknown)
        }
        guard let options = fields.options else {
            throw LeafError.field("options", "is missing; the rule rank scores an input alone")
        }
        guard !options.isEmpty else {
            throw LeafError.field("options", "is an empty list; give at least one text to choose from")
        }
        guard options.count <= Self.mostOptions else {
            throw LeafError.field("options", "holds \(options.count) texts, more than \(Self.mostOptions)")
        }
        var texts: [ScoreRequest] = []
        for option in options {
            let ids = tokenizer.encode(option, noting: &unknown)
            texts.append(rule == .choice ? try judge(ids) : try request(context, ids, file))
        }
        let isByLength = fields.normalization == .length
        return ScoreQuestion(
            id: id, kind: rule == .choice ? .choice : .likelihood(isByLength: isByLength), texts: texts,
            unknown: unknown)
    }

    private func request(
        _ context: [Int32], _ target: [Int32], _ file: ModelFile
    ) throws(LeafError) -> ScoreRequest {
        do throws(LeafError) {
            let request = ScoreRequest(context: try file.rows(of: .ids(context), fields.form), target: target)
            try request.validate(for: file.configuration)
            return request
        } catch {
            throw named(error)
        }
    }

    /// An error about one of the texts, by the name of the field that it came in.
    private func named(_ error: LeafError) -> LeafError {
        let isChoice = fields.input != nil
        return switch error.field {
        case "prompt", "context":
            error.about(isChoice ? "input" : fields.contextIDs == nil ? "context" : "context_ids")
        case "target": error.about(isChoice ? "options" : fields.targetIDs == nil ? "target" : "target_ids")
        default: error
        }
    }
}

/// The texts that one request wants scored, and what it makes of their scores.
package struct ScoreQuestion: Sendable {
    enum Kind: Sendable {
        case target, choice, rank
        /// By length: a token's share of the log-probability, so that long options lose nothing by their length.
        case likelihood(isByLength: Bool)
    }

    let id: JSON?
    let kind: Kind
    package let texts: [ScoreRequest]
    /// What the vocabulary lacks of all its texts. It scores them as `<unk>`.
    package let unknown: UnknownCharacters

    /// Of what its answer consists, where the input is not to be seen beside it.
    package var answerShape: ValueShape {
        let fields: [String: ValueShape] =
            switch kind {
            case .target: ["logprob": .number, "token_logprobs": .list(.number), "ranks": .list(.count)]
            case .choice, .likelihood: ["choice": .count, "scores": .list(.number)]
            case .rank: ["score": .number]
            }
        return .object(fields.merging(["id": .id]) { $1 }, possible: UnknownCharacters.shape)
    }

    /// Its texts in as many parts as a model's rows of logits make necessary.
    package func parts(logitRows: Int) -> [ScoreRequest] { texts.flatMap { $0.parts(logitRows: logitRows) } }

    /// The answer where the texts came in parts.
    ///
    /// - Parameter scores: for each part, those of its tokens.
    package func answer(parts scores: [[TokenScore]]) -> JSON {
        var left = ArraySlice(scores.joined())
        return answer(
            texts.map { text in
                defer { left = left.dropFirst(text.target.count) }
                return Array(left.prefix(text.target.count))
            })
    }

    /// - Parameters:
    ///   - scores: for each text, the scores of its target's tokens.
    ///   - input: what was asked, where it is to be seen beside the answer.
    package func answer(_ scores: [[TokenScore]], echoing input: ScoreInput? = nil) -> JSON {
        .object(
            (id.map { [("id", $0)] } ?? []) + (input?.echo ?? []) + fields(scores, options: input?.options)
                + unknown.fields)
    }

    private func fields(_ scores: [[TokenScore]], options: [String]?) -> [(key: String, value: JSON)] {
        switch kind {
        case .target:
            return [
                ("logprob", .number(Self.logprob(scores[0]))),
                ("token_logprobs", .array(scores[0].map { .number($0.logprob) })),
                ("ranks", .array(scores[0].map { .integer($0.rank) })),
            ]
        case .choice: return choice(scores.map { Judgement.score($0) }, options)
        case .likelihood(let isByLength):
            return choice(scores.map { Self.logprob($0) / (isByLength ? Double($0.count) : 1) }, options)
        case .rank: return [("score", .number(Judgement.score(scores[0])))]
        }
    }

    private static func logprob(_ scores: [TokenScore]) -> Double { scores.reduce(0) { $0 + $1.logprob } }

    /// - Parameter options: their texts, where the best one's is to be seen.
    private func choice(_ scores: [Double], _ options: [String]?) -> [(key: String, value: JSON)] {
        let choice = ChoiceTask.Output(scores: scores).choice
        return [("choice", .integer(choice))] + (options.map { [("option", .string($0[choice]))] } ?? [])
            + [("scores", .array(scores.map { .number($0) }))]
    }
}
