package import LeafFormat
package import LeafGeneration
import LeafSystem
package import Leafcutter

extension Model {
    /// Why nothing drafts although somebody asked for it, for people; nil where all is as it was asked.
    package var draftWarning: String? { missedDrafts.map { "speculation is \($0)" } }

    /// What somebody should know who has opened it with these drafts: sentences.
    package func warnings(_ drafts: DraftOptions) -> [String] { [drafts.keptWarning, draftWarning].compactMap { $0 } }
}

extension DraftOptions {
    /// Why nothing is known of how often drafts were right, although something was kept, for people; nil otherwise.
    package var keptWarning: String? {
        keptProblem.map { "nothing is known of how often the guesses were right: \($0)" }
    }
}

/// What drafting came to for some texts.
package struct DraftTally: Sendable, Equatable {
    private var (drafted, accepted) = (0, 0)
    /// What texts got on sweeps behind their prompts', and how many sweeps of single texts those were.
    private var (tokens, steps) = (0, 0)

    package init() {}
    package init(_ generation: Generation) { add(generation) }
    /// Of all texts of a model.
    package init(_ facts: SpeculationFacts) {
        (drafted, accepted, tokens, steps) = (facts.drafted, facts.accepted, facts.tokens, facts.steps)
    }

    package mutating func add(_ generation: Generation) {
        drafted += generation.draftedTokens
        accepted += generation.acceptedTokens
        tokens += generation.stepTokens
        steps += generation.steps
    }

    private var tokensPerSweep: Double { steps > 0 ? Double(tokens) / Double(steps) : 1 }

    /// `{"mode","drafted","accepted","tokens_per_sweep","draft_seconds"}`
    ///
    /// - Parameter hasSeconds: seconds of drafting are the model's, so that one of many answers does not have them.
    package func json(_ model: Model, hasSeconds: Bool = true) -> JSON {
        .object(fields(model, hasSeconds: hasSeconds))
    }

    /// The same with the numbers that the tokens of a sweep are made of: `"tokens","steps"`.
    package func total(_ model: Model) -> JSON {
        .object(fields(model, hasSeconds: true) + [("tokens", .integer(tokens)), ("steps", .integer(steps))])
    }

    private func fields(_ model: Model, hasSeconds: Bool) -> [(key: String, value: JSON)] {
        let facts = model.speculation
        return [
            ("mode", .string(facts.mode)), ("drafted", .integer(drafted)), ("accepted", .integer(accepted)),
            ("tokens_per_sweep", .number(tokensPerSweep)),
        ] + (hasSeconds ? [("draft_seconds", .number(facts.seconds))] : [])
    }

    /// The same for people; nil where nothing was drafted.
    package func sentence(_ model: Model) -> String? {
        guard drafted > 0 else { return nil }
        let facts = model.speculation
        let share = (100 * Double(accepted) / Double(drafted)).fixed(0)
        return "speculation (\(facts.mode)): \(tokens.of("token")) in \(steps.of("step")) of single texts, "
            + "\(tokensPerSweep.fixed(2)) tokens a sweep; \(accepted) of \(drafted.of("guessed token")) right "
            + "(\(share) %), \(facts.seconds.asDuration) of drafting"
    }
}
