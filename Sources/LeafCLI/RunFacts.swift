import LeafSystem
import Leafcutter

/// The last line of a run: how long it took, and what limited it.
struct RunFacts: CustomStringConvertible {
    let description: String

    /// - Parameter promptRows: rows of the first sweep.
    init(_ model: Model, _ generation: Generation, promptRows: Int) {
        let decodeSweeps = max(0, generation.sweeps - 1)
        let seconds = generation.prefillSeconds + generation.decodeSeconds
        let tokens = generation.newTokens
        let work =
            Quantity.count(tokens, "token")
            + (generation.resumedTokens > 0 ? " after \(generation.resumedTokens) of the session" : "")
            + " in \(seconds.asDuration)"
            + (decodeSweeps > 0
                ? ", first after \(generation.prefillSeconds.asDuration), then "
                    + "\((generation.decodeSeconds / Double(decodeSweeps)).asDuration) a token" : "")
        var run = Verdict.Run()
        run.promptRows = promptRows
        run.prefillSeconds = generation.prefillSeconds
        // A sweep that waits for the disk waits alike with a prompt and with one row.
        let wait = Double(model.counters.waitNanoseconds) * 1e-9
        run.prefillWaitSeconds = min(generation.prefillSeconds, wait / Double(max(1, generation.sweeps)))
        run.decodeSweeps = decodeSweeps
        run.decodeRows = Double(tokens) / Double(max(1, generation.sweeps))
        run.decodeSeconds = generation.decodeSeconds
        run.decodeWaitSeconds = wait - run.prefillWaitSeconds
        self.init(model, work, run)
    }

    /// Makes the facts of many requests on shared sweeps.
    ///
    /// - Parameters:
    ///   - tokens: the number of tokens generated or scored.
    ///   - rows: the number of rows of all sweeps.
    init(_ model: Model, tokens: Int, requests: Int, rows: Int, seconds: Double) {
        let counters = model.counters
        let sweeps = max(1, counters.sweeps)
        let work =
            Quantity.count(tokens, "token") + " of " + Quantity.count(requests, "request") + " in "
            + "\(seconds.asDuration), " + Quantity.count(sweeps, "sweep")
        var run = Verdict.Run()
        run.decodeSweeps = sweeps
        run.decodeRows = Double(rows) / Double(sweeps)
        run.decodeSeconds = seconds
        run.decodeWaitSeconds = Double(counters.waitNanoseconds) * 1e-9
        self.init(model, work, run)
    }

    private init(_ model: Model, _ work: String, _ run: Verdict.Run) {
        let counters = model.counters
        var run = run
        var parts = [work]
        let peak = ByteCount(bytes: ProcessMemory.peakBytes)
        parts.append("promised \(ByteCount(bytes: model.plan.budget)), peak \(peak)")
        parts.append("read \(counters.bytesRead.diskText) (\(model.io.rawValue))")
        let streamed = model.streamedBytesPerSweep
        if streamed == 0 { parts.append("all weights stay in memory") }

        run.diskBytesPerSecond = counters.bytesPerSecond
        run.diskLimit = model.diskLimit
        run.streamedBytesPerSweep = streamed
        run.weightBytes = model.file.leaf.chunks.reduce(0) { $0 + $1.rawBytes }
        run.elementBytes = model.file.leaf.weights.elementBytes
        parts.append("\(Verdict(run, memoryBytesPerSecond: model.measureMemoryRate))")
        description = parts.joined(separator: "; ")
    }
}
