/// What drafting has come to since the model was opened.
public struct SpeculationFacts: Sendable, Equatable {
    /// What drafts, or why nothing does: `off`, `ngram`, a path, `off: no room for ..`.
    public let mode: String
    /// Tokens that were drafted, and those of them that the model chose as well.
    public let drafted: Int
    public let accepted: Int
    /// Seconds that drafting took.
    public let seconds: Double
}

extension Model {
    /// What drafts, and what came of it; any thread may ask.
    public var speculation: SpeculationFacts {
        let counters = engine.drafts
        return SpeculationFacts(
            mode: counters.failure.map { "off: \($0)" } ?? settings.drafting.mode, drafted: counters.drafted,
            accepted: counters.accepted, seconds: counters.seconds)
    }

    /// Why nothing drafts although it was asked for; nil where all is as it was asked.
    package var missedDrafts: String? { settings.drafting.isRefused ? settings.drafting.mode : nil }
}
