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
    ///   - count: blocks to lend, where somebody chose them.
    func divided(
        for drafting: Drafting, _ plain: MemoryPlan, whole: MemoryPlan, lending count: Int?
    ) throws(LeafError) -> Settings {
        if let count { return with(drafting.borrowing(count)) }
        // There is memory for both, and none to divide.
        if whole.streamedBytesPerSweep == 0 { return with(drafting) }
        if plain.streamedBytesPerSweep == 0, drafting.fixedCount == nil {
            return with(
                drafting.off("beside \(drafting.mode) not all weights would fit into the memory", isRefused: true))
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
            return with(
                drafting.off(
                    "the memory of \(drafting.mode) saves more time with weights of the model in it", isRefused: true))
        }
        return best.settings
    }

    /// What is to be said of a larger budget where there is no room for what drafts: which would do, and whether
    /// anything drafts then.
    ///
    /// More memory may also be room for more texts, which come first, so what would do for these texts may not do.
    func roomier(_ options: ModelOptions) throws(LeafError) -> String {
        var larger = options
        var settings = self
        var budget = budget
        while let needed = try settings.minimum()?.roundedUpForPeople, needed > budget {
            budget = needed
            if let resized = options.resized { larger = try resized(budget) }
            (larger.memory, larger.drafts) = (.bytes(budget), .none)
            settings = try Settings(file, larger)
            settings = try settings.with(Drafting(options.drafts, for: file, settings.executor))
        }
        guard budget > self.budget, budget < .max else { return "" }
        larger.drafts = options.drafts
        let drafting = try Settings(file, larger).drafting
        guard case .none = drafting.source else { return ", which takes \(budget.roundedUpText) with the model" }
        let reason = drafting.mode.hasPrefix("off: ") ? String(drafting.mode.dropFirst(5)) : drafting.mode
        return "; with \(budget.roundedUpText) there is, but \(reason)"
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
