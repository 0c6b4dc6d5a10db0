import Leafcutter

extension JSONText {
    /// `{"budget","planned","peak"}` in bytes.
    static func memory(_ model: Model) -> JSONText {
        [
            "budget": .integer(model.plan.budget), "planned": .integer(model.plan.total),
            "peak": ProcessMemory.now().map { .integer($0.peakBytes) } ?? .null,
        ]
    }

    /// `{"mode","bytes_read","bytes_written","read_seconds","wait_seconds","bytes_per_second"}`.
    static func io(_ model: Model) -> JSONText {
        let counters = model.counters
        return [
            "mode": .string(model.io.rawValue), "bytes_read": .integer(counters.bytesRead),
            "bytes_written": ProcessMemory.bytesWritten().map { .integer($0) } ?? .null,
            "read_seconds": .number(Double(counters.readNanoseconds) * 1e-9),
            "wait_seconds": .number(Double(counters.waitNanoseconds) * 1e-9),
            "bytes_per_second": .number(counters.bytesPerSecond),
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

    init(_ model: Model, _ generation: Generation) {
        let seconds = generation.prefillSeconds + generation.decodeSeconds
        let decodeSweeps = max(0, generation.sweeps - 1)
        self.init(
            model,
            Quantity.count(generation.completionTokens, "token") + " in \(seconds.asDuration)"
                + (decodeSweeps > 0
                    ? ", first after \(generation.prefillSeconds.asDuration), then "
                        + "\((generation.decodeSeconds / Double(decodeSweeps)).asDuration) a token" : ""),
            seconds: seconds)
    }

    /// Many requests on shared sweeps.
    init(_ model: Model, tokens: Int, requests: Int, seconds: Double) {
        let sweeps = model.counters.sweeps
        self.init(
            model,
            Quantity.count(tokens, "token") + " of " + Quantity.count(requests, "request")
                + " in \(seconds.asDuration), \(sweeps) sweeps, "
                + "\((Double(tokens) / Double(max(1, sweeps))).fixed(1)) tokens each",
            seconds: seconds)
    }

    private init(_ model: Model, _ work: String, seconds: Double) {
        let plan = model.plan
        let counters = model.counters
        var parts = [work]
        if let memory = ProcessMemory.now() {
            parts.append(
                "promised \(ByteCount(bytes: plan.budget)), peak \(ByteCount(bytes: memory.peakBytes))")
        }
        parts.append("read \(ByteCount(bytes: counters.bytesRead)) (\(model.io.rawValue))")
        let waiting = seconds > 0 ? min(1, Double(counters.waitNanoseconds) * 1e-9 / seconds) : 0
        if plan.streamedBytesPerSweep == 0 {
            parts.append("all weights stay in memory")
        } else {
            parts.append(
                "\((100 * waiting).fixed(0)) % of the time waiting for the disk at \(counters.bytesPerSecond.asByteRate)"
                    + Self.advice(plan, counters, waiting))
        }
        description = parts.joined(separator: "; ")
    }

    /// What more memory would bring, where the disk is what it waits for: never more than a sweep waits.
    private static func advice(_ plan: MemoryPlan, _ counters: Counters, _ waiting: Double) -> String {
        guard waiting > 0.5, counters.bytesPerSecond > 0, counters.sweeps > 0 else { return "" }
        let more = min(1 << 30, plan.streamedBytesPerSweep)
        let waitOfASweep = Double(counters.waitNanoseconds) * 1e-9 / Double(counters.sweeps)
        let saved = min(Double(more) / counters.bytesPerSecond, waitOfASweep)
        return ", \(ByteCount(bytes: more)) more saves \(saved.asDuration) a token"
    }
}
