import CPMAnt
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream

/// What drafts give by a plan, if so many of them are right.
public struct SpeculationForecast: Sendable, Equatable {
    /// What drafts, or why nothing does.
    public let mode: String
    /// The chance that a draft is right if those before it are.
    public let acceptance: Double
    /// Drafts of a text on each sweep that give most; 0 where none pays.
    public let drafts: Int
    public let tokensPerSweep: Double
    public let secondsPerToken: Double
    /// Seconds of each sweep in which drafts are made and the disk rests.
    public let draftSeconds: Double

    /// - Parameters:
    ///   - prediction: of the same plan, without drafts.
    ///   - batch: the number of sequences that decode together.
    init(
        _ drafting: Drafting, _ file: ModelFile, _ plan: MemoryPlan, _ prediction: Prediction, batch: Int,
        acceptance: Double, _ rates: MachineRates
    ) {
        mode = drafting.mode
        self.acceptance = acceptance
        let sweep = SweepCost(file.ant, file.leaf.blocks.indices, rates.kernels)
        let streamed = Double(plan.streamedBytesPerSweep)
        /// The same as `prediction` has beside the linear layers.
        let rest = prediction.computingSecondsPerToken - sweep.seconds(rows: batch, logitRows: batch)
        let making = drafting.secondsPerDraft(rows: batch, rates.kernels)
        var best = (drafts: 0, tokens: 1.0, seconds: prediction.secondsPerToken)
        var tokens = 1.0
        var chance = 1.0
        for drafts in 1..<max(1, drafting.room.rows / max(1, batch)) + 1 where drafting.room.rows >= batch {
            chance *= acceptance
            tokens += chance
            let rows = batch * (1 + drafts)
            let seconds =
                rates.disk.seconds(reading: streamed, computing: sweep.seconds(rows: rows, logitRows: rows) + rest)
                + Double(drafts) * making
            if seconds / tokens < best.seconds / best.tokens { best = (drafts, tokens, seconds) }
        }
        drafts = best.drafts
        tokensPerSweep = best.tokens
        secondsPerToken = best.seconds / best.tokens
        draftSeconds = Double(best.drafts) * making
    }
}

extension Drafting {
    /// Seconds that one draft of each of some texts takes to make.
    fileprivate func secondsPerDraft(rows: Int, _ machine: KernelProbe) -> Double {
        guard case .model(let draft) = source else { return 0 }
        return SweepCost(draft.file.ant, draft.file.leaf.blocks.indices, machine).seconds(rows: rows, logitRows: rows)
    }
}
