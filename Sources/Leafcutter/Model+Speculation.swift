package import LeafSystem

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

    /// Adds what came of drafts since the model was opened to what is kept beside the model that made them.
    ///
    /// - Throws: as `KeptAcceptance.update`.
    package func keepAcceptance() throws(LeafError) {
        let checked = engine.drafts.checked
        guard case .model(let draft) = settings.drafting.source, checked.trees > 0 else { return }
        try KeptAcceptance.update(beside: draft.file.leaf.path) { kept in
            kept.add(
                of: draft.file, for: file, trees: checked.trees, levels: checked.levels, drafts: checked.drafts,
                accepted: checked.accepted)
        }
    }

    /// Bytes that a sweep would read if no memory were kept for drafts.
    package var streamedWithoutDrafts: Int {
        guard case .none = settings.drafting.source else {
            return (try? settings.with(.off).plan())?.streamedBytesPerSweep ?? streamedBytesPerSweep
        }
        return streamedBytesPerSweep
    }

    /// Bytes that need not be streamed for each byte more of memory.
    package var unreadPerByte: Double { settings.drafting.unreadPerByte }

    /// Why nothing drafts although it was asked for; nil where all is as it was asked.
    package var missedDrafts: String? { settings.drafting.isRefused ? settings.drafting.mode : nil }
}
