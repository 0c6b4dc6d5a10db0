import LeafStream
package import LeafSystem

/// What drafting has come to since the model was opened.
public struct SpeculationFacts: Sendable, Equatable {
    /// What drafts, without the names of files.
    package enum Kind: String, Sendable {
        case off, ngram, model
    }

    package let kind: Kind
    /// What drafts, or why nothing does: `off`, `ngram`, a path, `off: no room for ..`.
    public let mode: String
    /// Tokens that were drafted, and those of them that the model chose as well.
    public let drafted: Int
    public let accepted: Int
    /// Sweeps of single texts that might have drafts, and the tokens that these texts got on them.
    public let steps: Int
    public let tokens: Int
    /// Seconds that drafting took.
    public let seconds: Double
}

extension Model {
    /// What drafts, and what came of it; any thread may ask.
    public var speculation: SpeculationFacts {
        let counters = engine.drafts
        return SpeculationFacts(
            kind: counters.failure == nil ? settings.drafting.kind : .off,
            mode: counters.failure.map { "off: \($0)" } ?? settings.drafting.mode, drafted: counters.drafted,
            accepted: counters.accepted, steps: counters.steps, tokens: counters.tokens, seconds: counters.seconds)
    }

    /// Adds what came of drafts since this was done last to what is kept beside the model that made them.
    ///
    /// - Throws: as `KeptAcceptance.update`; nothing is lost then.
    package func keepAcceptance() throws(LeafError) {
        guard case .model(let draft) = settings.drafting.source else { return }
        let checked = engine.drafts.takeChecked()
        guard checked.trees > 0 else { return }
        do throws(LeafError) {
            try KeptAcceptance.update(beside: draft.file.leaf.path) { kept in
                kept.add(
                    of: draft.file, for: file, trees: checked.trees, levels: checked.levels, drafts: checked.drafts,
                    accepted: checked.accepted)
            }
        } catch {
            engine.drafts.add(checked)
            throw error
        }
    }

    /// Bytes that a sweep would read if no memory were kept for drafts.
    package var streamedWithoutDrafts: Int { planWithoutDrafts?.streamedBytesPerSweep ?? streamedBytesPerSweep }

    /// The smallest budget that works: drafts ask for no larger one.
    package var minimum: Int { (planWithoutDrafts ?? plan).minimum }

    /// Makes the plan that the same budget would have if nothing drafted; nil where nothing does.
    private var planWithoutDrafts: MemoryPlan? {
        if case .none = settings.drafting.source { nil } else { try? settings.with(.off).plan() }
    }

    /// Bytes that need not be streamed for each byte more of memory.
    package var unreadPerByte: Double { settings.drafting.unreadPerByte }

    /// Whether nothing drafts because that would take longer by prediction; a fixed number of drafts overrules it.
    package var isSpeculationUnprofitable: Bool { settings.drafting.isUnprofitable }

    /// Whether `missedDrafts` names a larger memory with which something drafts.
    package var draftsWithMoreMemory: Bool { settings.drafting.enough != nil }

    /// Why nothing drafts although it was asked for; nil where all is as it was asked.
    package var missedDrafts: String? { settings.drafting.isRefused ? settings.drafting.mode : nil }
}
