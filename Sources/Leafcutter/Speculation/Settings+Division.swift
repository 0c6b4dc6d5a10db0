import LeafStream
import LeafSystem

/// How whatever drafts and the model's own weights share the memory.
extension Settings {
    /// Of the numbers of blocks that a copy may borrow, so many are compared.
    private static let comparedCounts = 4

    /// With branches n-grams may lengthen what a sweep reads by this part: they give about as many tokens more.
    private static let ngramShare = 50

    /// A model that drafts has to save this part of a token's time by prediction, which may be wrong by as much; more
    /// where nothing waits for the disk, and each guess takes about half as long as a token.
    private static let leastGain = (streamed: 0.1, resident: 0.15)

    /// Divides the memory by predicted seconds a token. A block that stays in memory is not read again, and a copy has
    /// no use for its own, but drafting with it takes longer. Nothing drafts where that is faster.
    ///
    /// - Parameters:
    ///   - plain: the plan without drafts.
    ///   - whole: the plan with all of what drafts.
    ///   - given: how the model is opened.
    func divided(
        for drafting: Drafting, _ plain: MemoryPlan, whole: MemoryPlan, _ given: ModelOptions
    ) throws(LeafError) -> Settings {
        if case .ngrams = drafting.source {
            // They rest where they do not pay, but the pages of their branches are memory that weights would have.
            let more = whole.streamedBytesPerSweep - plain.streamedBytesPerSweep
            return with(more *| Self.ngramShare > plain.streamedBytesPerSweep ? drafting.withoutBranches : drafting)
        }
        guard case .model(let model) = drafting.source else { return with(drafting) }
        if let count = given.drafts.lentBlocks { return with(drafting.borrowing(count)) }
        let isStreamed = plain.streamedBytesPerSweep > 0
        let rates = given.rates ?? MachineRates.assumed(threads: executor.threads, reading)
        var best: (settings: Settings, seconds: Double)?
        for count in try comparedCounts(drafting, model) {
            let settings = with(drafting.borrowing(count))
            guard let seconds = try settings.secondsPerToken(rates), seconds < best?.seconds ?? .infinity else {
                continue
            }
            best = (settings, seconds)
        }
        let off = try secondsPerToken(rates) ?? .infinity
        let leastGain = isStreamed ? Self.leastGain.streamed : Self.leastGain.resident
        var chosen: Settings
        if let best, drafting.fixedCount != nil || best.seconds <= off * (1 - leastGain) {
            chosen = best.settings
        } else {
            chosen = try unprofitable(drafting, given, isStreamed: isStreamed)
        }
        let isMuch = Double(whole.bytes(for: .drafts)) > Self.leastGain.streamed * Double(plain.pinnedBytes)
        chosen.lacksRates = isMuch && given.rates == nil
        return chosen
    }

    /// Nothing drafts, because that would take longer.
    private func unprofitable(
        _ drafting: Drafting, _ given: ModelOptions, isStreamed: Bool
    ) throws(LeafError) -> Settings {
        let chance = "if its best guess is right \((100 * drafting.acceptance.chance).fixed(0)) % of the time"
        let reason =
            isStreamed
            ? "the memory of \(drafting.mode) saves more time with weights of the model in it, \(chance)"
            : "all weights are in memory, where \(drafting.mode) saves hardly any time, \(chance)"
        // With this much nothing has to make room; whether anything drafts then is tried.
        let both = try with(drafting).enlarged(given) { settings throws(LeafError) in try settings.unlimited()?.total }
        var enough: Drafting.Enough?
        if let both, case .model = both.drafting.source { enough = both.enough }
        return with(drafting.refused(reason, enough: enough, isUnprofitable: true))
    }

    /// Nothing drafts for want of room.
    ///
    /// - Parameter given: how the model is opened.
    func withoutRoom(for drafting: Drafting, _ given: ModelOptions) throws(LeafError) -> Settings {
        let reason = "no room for \(drafting.mode)"
        guard !given.drafts.isAutomatic else { return with(drafting.left(reason)) }
        let roomier = try with(drafting).enlarged(given) { settings throws(LeafError) in try settings.minimum() }
        guard let roomier else { return with(drafting.refused(reason, enough: nil)) }
        if case .none = roomier.drafting.source {
            return with(drafting.refused(reason, enough: roomier.drafting.enough))
        }
        return with(drafting.refused(reason, enough: roomier.enough))
    }

    /// What somebody is told with whom nothing drafts.
    private var enough: Drafting.Enough { Drafting.Enough(budget: budget, contents: executor.capacity.contents) }

    /// The same with the smallest larger budget for people that is enough; nil where no memory is, or this one.
    ///
    /// More memory may also be room for more texts, which come first, so what would do for these may not do.
    ///
    /// - Parameters:
    ///   - given: how the model is opened.
    ///   - needed: what settings need; nil where no plan can hold it.
    private func enlarged(
        _ given: ModelOptions, _ needed: (Settings) throws(LeafError) -> Int?
    ) throws(LeafError) -> Settings? {
        var settings = self
        var options = given
        while true {
            guard let bytes = try needed(settings)?.roundedUpForPeople, bytes < .max else { return nil }
            guard bytes > settings.budget else { break }
            options = try given.resized?(bytes) ?? options
            (options.memory, options.drafts) = (.bytes(bytes), .none)
            settings = try Settings(file, options)
            settings = try settings.with(Drafting(given.drafts, for: file, settings.executor))
        }
        guard settings.budget > budget else { return nil }
        options.drafts = given.drafts
        return try Settings(file, options)
    }

    /// Numbers of blocks to lend, from the fewest to as many as the budget allows beside a ring of the usual size.
    private func comparedCounts(_ drafting: Drafting, _ draft: DraftModel) throws(LeafError) -> [Int] {
        func fits(_ count: Int) throws(LeafError) -> Bool {
            guard let plan = try with(drafting.borrowing(count)).fitting() else { return false }
            return plan.slotCount == 0 || plan.slotCount >= MemoryPlan.preferredSlotCount
        }
        let least = draft.leastBorrowed
        var most = least
        var tooMany = draft.mostBorrowed + 1
        while tooMany - most > 1 {
            let middle = (most + tooMany) / 2
            if try fits(middle) { most = middle } else { tooMany = middle }
        }
        let steps = Self.comparedCounts
        return Set((0...steps).map { least + (most - least) * $0 / steps }).sorted()
    }

    /// Seconds a token on a machine; nil where the budget is too small.
    private func secondsPerToken(_ rates: MachineRates) throws(LeafError) -> Double? {
        guard let plan = try fitting() else { return nil }
        let batch = min(executor.capacity.sequences, Drafting.mostTexts)
        let prediction = Prediction(file, plan, promptRows: 1, batch: batch, rates)
        return SpeculationForecast(drafting, file, plan, prediction, batch: batch, rates).secondsPerToken
    }
}
