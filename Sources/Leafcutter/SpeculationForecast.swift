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
    /// Blocks that stay in memory as the model has them, and with which a copy computes as well in place of its own.
    public let lentBlocks: Int
    /// Whether nothing drafts; `mode` says why.
    public let isOff: Bool
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
        draftBytes = plan.bytes(for: .drafts)
        let cost = SweepCost(file.ant, file.leaf.blocks.indices, rates.kernels)
        let streamed = Double(plan.streamedBytesPerSweep)
        // The same as `prediction` has beside the linear layers.
        let rest = prediction.computingSecondsPerToken - cost.seconds(rows: batch, logitRows: batch)
        let making = drafting.secondsPerDraft(for: file, rows: batch, rates.kernels)
        func sweep(with drafts: Int) -> (drafts: Int, tokens: Double, seconds: Double) {
            var (tokens, chance) = (1.0, 1.0)
            for _ in 0..<drafts {
                chance *= drafting.acceptance
                tokens += chance
            }
            let rows = batch * (1 + drafts)
            // More rows are never faster, whatever a measurement of them says.
            let linear = max(cost.seconds(rows: rows, logitRows: rows), cost.seconds(rows: batch, logitRows: batch))
            let computing = linear + rest
            return (
                drafts, tokens,
                rates.disk.seconds(reading: streamed, computing: computing) + Double(drafts) * making
            )
        }
        let room = drafting.room.rows / max(1, batch)
        // Who chose a number gets it, also where it does not pay.
        var best = sweep(with: min(drafting.fixedCount ?? 0, room))
        for drafts in 0..<(drafting.fixedCount == nil ? room + 1 : 0) {
            let other = sweep(with: drafts)
            if other.seconds / other.tokens < best.seconds / best.tokens { best = other }
        }
        drafts = best.drafts
        tokensPerSweep = best.tokens
        secondsPerToken = best.seconds / best.tokens
        draftSeconds = Double(best.drafts) * making
    }
}

extension Drafting {
    /// Seconds that one draft of each of some texts takes to make.
    fileprivate func secondsPerDraft(for file: ModelFile, rows: Int, _ machine: KernelProbe) -> Double {
        guard case .model(let draft) = source else { return 0 }
        let borrowed = draft.executor.borrowed?.blocks ?? []
        let own = draft.file.leaf.blocks.indices.filter { !borrowed.contains($0) }
        return SweepCost(draft.file.ant, own, machine).seconds(rows: rows, logitRows: rows)
            + SweepCost(file.ant, borrowed, machine).seconds(rows: rows, logitRows: rows)
    }
}
