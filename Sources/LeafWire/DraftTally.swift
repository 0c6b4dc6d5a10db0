package import LeafFormat
package import LeafGeneration
package import Leafcutter

/// What drafting came to for some texts.
package struct DraftTally: Sendable, Equatable {
    private var (drafted, accepted) = (0, 0)
    /// What texts got on sweeps behind their prompts', and how many sweeps of single texts those were.
    private var (tokens, steps) = (0, 0)

    package init() {}
    package init(_ generation: Generation) { add(generation) }

    package mutating func add(_ generation: Generation) {
        drafted += generation.draftedTokens
        accepted += generation.acceptedTokens
        tokens += generation.stepTokens
        steps += generation.steps
    }

    /// `{"mode","drafted","accepted","tokens_per_sweep","draft_seconds"}`
    ///
    /// - Parameter hasSeconds: seconds of drafting are the model's, so that one of many answers does not have them.
    package func json(_ model: Model, hasSeconds: Bool = true) -> JSON {
        let facts = model.speculation
        return .object(
            [
                ("mode", .string(facts.mode)), ("drafted", .integer(drafted)), ("accepted", .integer(accepted)),
                ("tokens_per_sweep", .number(steps > 0 ? Double(tokens) / Double(steps) : 1)),
            ] + (hasSeconds ? [("draft_seconds", .number(facts.seconds))] : []))
    }
}
