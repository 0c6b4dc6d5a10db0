import CPMAnt
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream

/// What drafts give by a plan, if the best of them are right so often.
public struct SpeculationForecast: Sendable, Equatable {
    /// What drafts, or why nothing does.
    public let mode: String
    /// The chance that the best guess behind a token is right.
    public let acceptance: DraftAcceptance
    /// Drafts of a text on each sweep that give most; 0 where none pays.
    public let drafts: Int
    public let tokensPerSweep: Double
    public let secondsPerToken: Double
    /// Seconds of each sweep in which drafts are made and the disk rests.
    public let draftSeconds: Double
    /// Blocks that stay in memory as the model has them, and with which a copy computes as well in place of its own.
    public let lentBlocks: Int
    /// Whether nothing drafts; `mode` says why.
    public let isOff: Bool
    /// Whether that is because drafting would take longer, if guesses are right so often.
    public let isUnprofitable: Bool
    /// Memory that drafts take.
    public let draftBytes: Int

    /// - Parameters:
    ///   - prediction: of the same plan, without drafts.
    ///   - batch: the number of sequences that decode together.
    init(
        _ drafting: Drafting, _ file: ModelFile, _ plan: MemoryPlan, _ prediction: Prediction, batch: Int,
        _ rates: MachineRates
    ) {
        mode = drafting.mode
        acceptance = drafting.acceptance
        lentBlocks = drafting.borrowed?.blocks.count ?? 0
        if case .none = drafting.source { isOff = true } else { isOff = false }
        isUnprofitable = drafting.isUnprofitable
        draftBytes = plan.bytes(for: .drafts)
        let cost = SweepCost(file.ant, file.leaf.blocks.indices, rates.kernels)
        let streamed = Double(plan.streamedBytesPerSweep)
        // What the disk reads of the next sweep while drafts are made.
        let ring = min(streamed, Double(plan.slotCount * plan.slotBytes))
        // The same as `prediction` has beside the linear layers.
        let rest = prediction.computingSecondsPerToken - cost.seconds(rows: batch, logitRows: batch)
        let room = min(drafting.room.rows / max(1, batch), Speculation.mostDrafts)
        let odds = DraftOdds(
            acceptance: drafting.acceptance.chance,
            width: drafting.takesBranches(ofTexts: batch) ? ModelDrafts.mostWide : 1, count: room)
        func sweep(with drafts: Int) -> Sweep {
            let rows = batch * (1 + drafts)
            let computing = cost.seconds(rows: rows, logitRows: rows) + rest
            let making = odds.passes(drafts: drafts).reduce(0) {
                $0 + drafting.secondsPerPass(for: file, rows: batch * $1, rates.kernels)
            }
            return Sweep(
                drafts: drafts, tokens: odds.tokens(drafts: drafts), draftSeconds: making,
                sweepSeconds: rates.disk.seconds(
                    reading: streamed - min(ring, making * rates.disk.allowedBytesPerSecond), computing: computing))
        }
        // Who chose a number gets it, also where it does not pay.
        var best = sweep(with: min(drafting.fixedCount ?? 0, room))
        for drafts in 0..<(drafting.fixedCount == nil ? room + 1 : 0) {
            let other = sweep(with: drafts)
            if other.secondsPerToken < best.secondsPerToken { best = other }
        }
        drafts = best.drafts
        tokensPerSweep = best.tokens
        secondsPerToken = best.secondsPerToken
        draftSeconds = best.draftSeconds
    }

    private struct Sweep {
        let drafts: Int
        let tokens: Double
        let draftSeconds: Double
        let sweepSeconds: Double

        var secondsPerToken: Double { (draftSeconds + sweepSeconds) / tokens }
    }
}

extension Drafting {
    /// Whether drafts of so many texts may stand beside each other; of what n-grams miss, others guess no more.
    fileprivate func takesBranches(ofTexts count: Int) -> Bool {
        if case .ngrams = source { return false }
        return min(room.branchPages, room.textBranchPages / max(1, count)) > 0
    }

    /// Seconds in which whatever drafts reads so many rows.
    fileprivate func secondsPerPass(for file: ModelFile, rows: Int, _ machine: KernelProbe) -> Double {
        guard case .model(let draft) = source else { return 0 }
        let borrowed = draft.executor.borrowed?.blocks ?? []
        let own = draft.file.leaf.blocks.indices.filter { !borrowed.contains($0) }
        return SweepCost(draft.file.ant, own, machine).seconds(rows: rows, logitRows: rows)
            + SweepCost(file.ant, borrowed, machine).seconds(rows: rows, logitRows: rows)
    }
}
