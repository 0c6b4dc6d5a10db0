import LeafEvaluation
package import LeafFormat
package import LeafGeneration
package import LeafSystem
import LeafTokenizer
package import Leafcutter

/// How an input is scored.
package enum ScoreRule: String, Sendable, CaseIterable {
    /// CPM-Live's rule: the option that the model judges to be right.
    case choice
    /// The option that is the most likely continuation.
    case likelihood
    /// The model's judgement of an input.
    case rank
}

/// Texts to score: `{"id","context" or "context_ids","target" or "target_ids"}` or `{"id","input","options"}`, with
/// `rule`, `task`, `segment`, `delta` and `prompt_embedding`. What else stands there is passed: data files have it.
package struct ScoreInput: Sendable {
    /// What holds for texts that say nothing about it.
    package struct Defaults: Sendable {
        /// Soft prompt, segment and adapter.
        package var form: GenerationOptions
        package var rule: ScoreRule

        package init(form: GenerationOptions = GenerationOptions(), rule: ScoreRule = .choice) {
            self.form = form
            self.rule = rule
        }
    }

    private struct Fields: Sendable {
        var id: RequestID?
        var form: GenerationOptions
        var rule: ScoreRule
        var context: String?
        var contextIDs: [Int32]?
        var target: String?
        var targetIDs: [Int32]?
        var input: String?
        var options: [String]?
    }

    private let fields: Fields
    package var id: RequestID? { fields.id }

    /// - Throws: `.usage` naming the field that makes no sense.
    package init(json: ArraySlice<UInt8>, _ defaults: Defaults = Defaults()) throws(LeafError) {
        var fields = Fields(form: defaults.form, rule: defaults.rule)
        try JSONReader.read(json) { name, reader throws(LeafError) in
            switch name {
            case "kind": try RequestKind.score.check(&reader)
            case "id": fields.id = try RequestID(&reader)
            case "context": fields.context = try reader.text()
            case "context_ids": fields.contextIDs = try reader.integers()
            // With a choice this may be the number of the right option, which is not used here.
            case "target":
                if try reader.kind() == .text { fields.target = try reader.text() } else { try reader.skip() }
            case "target_ids": fields.targetIDs = try reader.integers()
            case "input": fields.input = try reader.text()
            case "options": fields.options = try reader.texts()
            case "rule":
                let rule = try reader.text()
                guard let known = ScoreRule(rawValue: rule) else {
                    throw reader.wrong("is '\(rule.prefix(40))', not choice, likelihood or rank")
                }
                fields.rule = known
            case _ where OptionFields.form.contains(name):
                try OptionFields.read(name, &reader, into: &fields.form, known: OptionFields.form)
            default: try reader.skip()
            }
        }
        self.fields = fields
    }

    /// The texts that are scored for it, and what becomes of their scores.
    ///
    /// - Parameter id: stands in the answer.
    /// - Throws: `.usage` for what makes no sense with this model.
    package func question(for file: ModelFile, id: JSON) throws(LeafError) -> ScoreQuestion {
        if let input = fields.input { return try question(about: input, id, file) }
        func encode(_ text: String) throws(LeafError) -> [Int32] { try file.requireTokenizer().encode(text) }
        let context: [Int32] =
            if let ids = fields.contextIDs { ids } else if let given = fields.context {
                try [Tokenizer.bosID] + encode(given)
            } else { throw LeafError(.usage, "'context' and 'target', or 'input', are missing") }
        let target: [Int32]
        switch (fields.targetIDs, fields.target) {
        case (let ids?, _): target = ids
        case (nil, let given?): target = try encode(given)
        case (nil, nil): throw LeafError(.usage, "'target' is missing, a text")
        }
        return ScoreQuestion(id: id, kind: .target, texts: [try request(context, target, file)])
    }

    /// Each is a text of its own, with the input in front.
    private static let mostOptions = 256

    private func question(about input: String, _ id: JSON, _ file: ModelFile) throws(LeafError) -> ScoreQuestion {
        let tokenizer = try file.requireTokenizer()
        let context = [Tokenizer.bosID] + tokenizer.encode(input)
        func judge(_ option: [Int32] = []) throws(LeafError) -> ScoreRequest {
            let judgement = try Judgement(tokenizer)
            let request = judgement.request(
                try file.rows(of: .ids(judgement.ids(of: context, option: option)), fields.form))
            try request.validate(for: file.configuration)
            return request
        }
        if fields.rule == .rank {
            guard fields.options == nil else {
                throw LeafError(.usage, "the rule rank takes no 'options'; the rules choice and likelihood do")
            }
            return ScoreQuestion(id: id, kind: .rank, texts: [try judge()])
        }
        guard let options = fields.options, !options.isEmpty else {
            throw LeafError(.usage, "'options' is missing; the rule rank scores an input alone")
        }
        guard options.count <= Self.mostOptions else {
            throw LeafError(.usage, "\(options.count) 'options' are more than \(Self.mostOptions)")
        }
        var texts: [ScoreRequest] = []
        for option in options {
            let ids = tokenizer.encode(option)
            texts.append(fields.rule == .choice ? try judge(ids) : try request(context, ids, file))
        }
        return ScoreQuestion(id: id, kind: fields.rule == .choice ? .choice : .likelihood, texts: texts)
    }

    private func request(
        _ context: [Int32], _ target: [Int32], _ file: ModelFile
    ) throws(LeafError) -> ScoreRequest {
        let request = ScoreRequest(context: try file.rows(of: .ids(context), fields.form), target: target)
        try request.validate(for: file.configuration)
        return request
    }
}

/// The texts that one request wants scored, and what it makes of their scores.
package struct ScoreQuestion: Sendable {
    enum Kind: Sendable {
        case target, choice, likelihood, rank
    }

    let id: JSON
    let kind: Kind
    package let texts: [ScoreRequest]

    /// - Parameter scores: for each text, the scores of its target's tokens.
    package func answer(_ scores: [[TokenScore]]) -> JSON {
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

    private func choice(_ scores: [Double]) -> JSON {
        [
            "id": id, "choice": .integer(ChoiceTask.Output(scores: scores).choice),
            "scores": .array(scores.map { .number($0) }),
        ]
    }
}
