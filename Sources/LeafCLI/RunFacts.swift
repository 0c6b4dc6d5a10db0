import LeafSystem
import Leafcutter

/// The last line of a run: how long it took, and what limited it.
struct RunFacts: CustomStringConvertible {
    let description: String

    /// - Parameter promptRows: rows of the first sweep.
    init(_ model: Model, _ generation: Generation, promptRows: Int) {
        // What was broken off counts as much as was done of it.
        let passes = model.passes(of: model.counters)
        let promptSweeps = min(1, passes)
        let decodeSweeps = passes - promptSweeps
        let seconds = generation.prefillSeconds + generation.decodeSeconds
        let tokens = generation.newTokens
        let perSweep = generation.tokensPerSweep
        let secondsPerToken = generation.decodeSeconds / max(decodeSweeps, 1e-9) / perSweep
        let wait = Double(model.counters.waitNanoseconds) * 1e-9
        // A sweep that waits for the disk waits alike with a prompt and with one row.
        let prefillWait = min(generation.prefillSeconds, wait * promptSweeps / max(passes, 1e-9))
        let gain =
            Self.secondsWithoutDrafts(model, generation, sweeps: decodeSweeps, waiting: wait - prefillWait)
            - secondsPerToken
        let work =
            Quantity.count(tokens, "token")
            + (generation.resumedTokens > 0 ? " after \(generation.resumedTokens) of the session" : "")
            + " in \(seconds.asDuration)"
            + (decodeSweeps > 0
                ? ", first after \(generation.prefillSeconds.asDuration), then "
                    + "\(secondsPerToken.asDuration) a token" : "")
            + (generation.draftedTokens > 0 ? ", \(perSweep.fixed(2)) tokens a sweep" : "")
            + (generation.draftedTokens > 0 && gain.isNoticeable
                ? "; speculation saves about \(gain.asDuration) a token" : "")
        var run = Verdict.Run()
        // A session that goes on has read its prompt.
        run.promptRows = generation.resumedTokens > 0 ? generation.samples.count : promptRows
        run.promptSweeps = promptSweeps
        run.prefillSeconds = generation.prefillSeconds
        run.prefillWaitSeconds = prefillWait
        run.decodeSweeps = decodeSweeps
        if decodeSweeps > 0 {
            run.decodeRows = max(1, (model.rowPasses - Double(run.promptRows) * promptSweeps) / decodeSweeps)
        }
        run.decodeSeconds = generation.decodeSeconds
        run.tokensPerSweep = perSweep
        run.decodeWaitSeconds = wait - prefillWait
        self.init(model, work, run)
    }

    /// Seconds a token that the same budget would take without drafts: those of a sweep without their rows, which takes
    /// no longer, and waits less where their memory would keep weights.
    private static func secondsWithoutDrafts(
        _ model: Model, _ generation: Generation, sweeps: Double, waiting: Double
    ) -> Double {
        let streamed = Double(max(1, model.streamedBytesPerSweep))
        let spared = waiting * max(0, 1 - Double(model.streamedWithoutDrafts) / streamed)
        return (generation.decodeSeconds - model.speculation.seconds - spared) / max(sweeps, 1e-9)
    }

    /// Makes the facts of many requests on shared sweeps.
    ///
    /// - Parameters:
    ///   - tokens: the number of tokens generated or scored.
    init(_ model: Model, tokens: Int, requests: Int, seconds: Double) {
        let counters = model.counters
        let passes = model.passes(of: counters)
        let work =
            Quantity.count(tokens, "token") + " of " + Quantity.count(requests, "request") + " in "
            + "\(seconds.asDuration), "
            + (counters.sweeps == 0 && passes > 0 ? "part of a sweep" : Quantity.count(counters.sweeps, "sweep"))
        var run = Verdict.Run()
        run.decodeSweeps = passes
        run.decodeRows = model.rowPasses / max(passes, 1e-9)
        run.decodeSeconds = seconds
        run.decodeWaitSeconds = Double(counters.waitNanoseconds) * 1e-9
        self.init(model, work, run)
    }

    private init(_ model: Model, _ work: String, _ run: Verdict.Run) {
        let counters = model.counters
        var run = run
        var parts = [work]
        let peak = ByteCount(bytes: ProcessMemory.peakBytes)
        // Nobody was promised anything where the budget is what the machine has to give.
        parts.append(
            model.plan.isGiven
                ? "promised \(ByteCount(bytes: model.plan.budget)), peak \(peak)"
                : "planned \(ByteCount(bytes: model.plan.total)), peak \(peak)")
        parts.append("read \(counters.bytesRead.diskText) (\(model.io.rawValue))")
        let streamed = model.streamedBytesPerSweep
        if streamed == 0 { parts.append("all weights stay in memory") }

        run.diskBytesPerSecond = counters.bytesPerSecond
        run.diskLimit = model.diskLimit
        run.streamedBytesPerSweep = streamed
        run.unreadPerByte = model.unreadPerByte
        run.ringBytes = model.plan.bytes(for: .slots)
        run.weightBytes = model.file.leaf.chunks.reduce(0) { $0 + $1.rawBytes }
        run.bytesPerWeight = model.file.leaf.weights.bytesPerWeight
        // Nothing limited what did not run.
        if run.promptSweeps + run.decodeSweeps > 0 {
            parts.append("\(Verdict(run, memoryBytesPerSecond: model.measureMemoryRate))")
        }
        description = parts.joined(separator: "; ")
    }
}
