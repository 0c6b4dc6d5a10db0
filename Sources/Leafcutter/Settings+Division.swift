import LeafStream
import LeafSystem

/// How whatever drafts and the model's own weights share the memory.
extension Settings {
    /// Of the numbers of blocks that a copy may borrow, so many are compared.
    private static let comparedCounts = 4

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
        if let count = given.drafts.lentBlocks { return with(drafting.borrowing(count)) }
        // There is memory for both, and none to divide.
        if whole.streamedBytesPerSweep == 0 { return with(drafting) }
        /// Less never does where this much does not: the more weights stay, the less there is for drafts to save.
        func both() throws(LeafError) -> Int? {
            try with(drafting).enlarged(given) { settings throws(LeafError) in
                try settings.unlimited()?.total
            }?.budget
        }
        if plain.streamedBytesPerSweep == 0, drafting.fixedCount == nil {
            return with(
                drafting.refused(
                    "beside \(drafting.mode) not all weights of the model would stay in memory, as they do without it",
                    enough: try both()))
        }
        var best: (settings: Settings, seconds: Double)?
        for count in try comparedCounts(drafting) {
            let settings = with(drafting.borrowing(count))
            guard let seconds = try settings.assumedSecondsPerToken(), seconds < best?.seconds ?? .infinity else {
                continue
            }
            best = (settings, seconds)
        }
        let off = try assumedSecondsPerToken() ?? .infinity
        guard let best, drafting.fixedCount != nil || best.seconds < off else {
            let share = (100 * drafting.acceptance.chance).fixed(0)
            return with(
                drafting.refused(
                    "the memory of \(drafting.mode) saves more time with weights of the model in it, if its best guess "
                        + "is right \(share) % of the time", enough: try both(), isUnprofitable: true))
        }
        return best.settings
    }

    /// Nothing drafts for want of room.
    ///
    /// - Parameter given: how the model is opened.
    func withoutRoom(for drafting: Drafting, _ given: ModelOptions) throws(LeafError) -> Settings {
        let reason = "no room for \(drafting.mode)"
        guard !given.drafts.isAutomatic else { return with(drafting.left(reason)) }
        let roomier = try with(drafting).enlarged(given) { settings throws(LeafError) in try settings.minimum() }
        guard let (budget, larger) = roomier else { return with(drafting.refused(reason, enough: nil)) }
        var options = larger
        options.drafts = given.drafts
        let found = try Settings(file, options).drafting
        if case .none = found.source { return with(drafting.refused(reason, enough: found.enough)) }
        return with(drafting.refused(reason, enough: budget))
    }

    /// The smallest budget for people that is enough, with the options for it; nil where no memory is.
    ///
    /// More memory may also be room for more texts, which come first, so what would do for these may not do.
    ///
    /// - Parameters:
    ///   - given: how the model is opened.
    ///   - needed: what settings need; nil where no plan can hold it.
    private func enlarged(
        _ given: ModelOptions, _ needed: (Settings) throws(LeafError) -> Int?
    ) throws(LeafError) -> (budget: Int, options: ModelOptions)? {
        var settings = self
        var options = given
        while true {
            guard let bytes = try needed(settings)?.roundedUpForPeople, bytes < .max else { return nil }
            guard bytes > settings.budget else { return (settings.budget, options) }
            options = try given.resized?(bytes) ?? options
            (options.memory, options.drafts) = (.bytes(bytes), .none)
            settings = try Settings(file, options)
            settings = try settings.with(Drafting(given.drafts, for: file, settings.executor))
        }
    }

    /// Numbers of blocks to lend, from the fewest to as many as the budget allows beside a ring of the usual size.
    private func comparedCounts(_ drafting: Drafting) throws(LeafError) -> [Int] {
        guard case .model(let draft) = drafting.source else { return [0] }
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

    /// Seconds a token on a machine of which nothing is known, so that the same options always give the same plan; nil
    /// where the budget is too small.
    private func assumedSecondsPerToken() throws(LeafError) -> Double? {
        guard let plan = try fitting() else { return nil }
        let rates = MachineRates.assumed(threads: executor.threads, reading)
        let batch = min(executor.capacity.sequences, Drafting.mostTexts)
        let prediction = Prediction(file, plan, promptRows: 1, batch: batch, rates)
        return SpeculationForecast(drafting, file, plan, prediction, batch: batch, rates).secondsPerToken
    }
}
