import Leafcutter

extension JSONText {
    /// `{"budget","planned","peak"}` in bytes.
    static func memory(_ model: Model) -> JSONText {
        [
            "budget": .integer(model.plan.budget), "planned": .integer(model.plan.total),
            "peak": ProcessMemory.now().map { .integer($0.peakBytes) } ?? .null,
        ]
    }

    /// `{"mode","bytes_read","bytes_written","read_seconds","wait_seconds","bytes_per_second","streamed_bytes_per_sweep"}`.
    static func io(_ model: Model) -> JSONText {
        let counters = model.counters
        return [
            "mode": .string(model.io.rawValue), "bytes_read": .integer(counters.bytesRead),
            "bytes_written": ProcessMemory.bytesWritten().map { .integer($0) } ?? .null,
            "read_seconds": .number(Double(counters.readNanoseconds) * 1e-9),
            "wait_seconds": .number(Double(counters.waitNanoseconds) * 1e-9),
            "bytes_per_second": .number(counters.bytesPerSecond),
            "streamed_bytes_per_sweep": .integer(model.streamedBytesPerSweep),
        ]
    }

    static func logprobs(_ logprobs: [TokenLogprobs]) -> JSONText {
        func entry(_ entry: TokenLogprobs.Entry) -> [(key: String, value: JSONText)] {
            [("id", .integer(Int(entry.id))), ("logprob", .number(entry.logprob))]
        }
        return .array(
            logprobs.map { token in
                .object(entry(token.chosen) + [("top", .array(token.top.map { .object(entry($0)) }))])
            })
    }
}

/// The last line of a run: what it took, and what it was waiting for.
struct RunFacts: CustomStringConvertible {
    let description: String

    /// - Parameters:
    ///   - promptRows: rows of the first sweep.
    ///   - prefill: the counters when the first token was there.
    init(_ model: Model, _ generation: Generation, promptRows: Int, prefill: Counters) {
        let counters = model.counters
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
        run.prefillWaitSeconds = Double(prefill.waitNanoseconds) * 1e-9
        run.decodeSweeps = decodeSweeps
        run.decodeRows = Double(tokens) / Double(max(1, generation.sweeps))
        run.decodeSeconds = generation.decodeSeconds
        run.decodeWaitSeconds = Double(counters.waitNanoseconds - prefill.waitNanoseconds) * 1e-9
        self.init(model, work, run)
    }

    /// Many requests on shared sweeps.
    ///
    /// - Parameters:
    ///   - tokens: generated or scored.
    ///   - rows: of all sweeps.
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
        if let memory = ProcessMemory.now() {
            parts.append(
                "promised \(ByteCount(bytes: model.plan.budget)), peak \(ByteCount(bytes: memory.peakBytes))")
        }
        parts.append("read \(ByteCount(bytes: counters.bytesRead)) (\(model.io.rawValue))")
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
