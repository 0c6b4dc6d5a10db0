import LeafSystem

/// What limited a run, from its counters.
public enum Verdict: Sendable, Equatable {
    /// Threads waited for weights most of the time.
    /// - share: share of the run's time; savedSeconds: seconds per token that `moreBytes` more memory would save.
    case disk(share: Double, bytesPerSecond: Double, moreBytes: Int, savedSeconds: Double)
    /// Weights were used about as fast as memory delivers them.
    case memory(bytesPerSecond: Double, share: Double, waitShare: Double)
    /// The processor was busy computing.
    case compute(multiplyAddsPerSecond: Double, rows: Int, isPrompt: Bool, waitShare: Double)

    /// The times and counters of a run.
    public struct Run: Sendable, Equatable {
        public var promptRows = 0
        /// How much of the prompt's sweep was done, from 0 to 1.
        public var promptSweeps = 1.0
        public var prefillSeconds = 0.0
        public var prefillWaitSeconds = 0.0
        /// The sweep that was broken off counts as much as was done of it.
        public var decodeSweeps = 0.0
        /// The mean number of rows of a decoding sweep.
        public var decodeRows = 1.0
        public var decodeSeconds = 0.0
        /// That a text gets on a decoding sweep: more than one with drafts.
        public var tokensPerSweep = 1.0
        public var decodeWaitSeconds = 0.0
        /// The rate while something was being read.
        public var diskBytesPerSecond = 0.0
        /// What reading was allowed (`ReadingOptions.maxBytesPerSecond`); infinite without a limit.
        public var diskLimit = Double.infinity
        public var streamedBytesPerSweep = 0
        /// Bytes that need not be streamed for each byte more of memory: more than one where a copy drafts, because it
        /// needs no memory for blocks that stay.
        public var unreadPerByte = 1.0
        /// Memory of the ring that streamed weights pass through; where all stay, there is none.
        public var ringBytes = 0
        /// Bytes of weights that each sweep uses.
        public var weightBytes = 0
        public var bytesPerWeight = 1.0

        public init() {}
    }

    /// - Parameter memoryBytesPerSecond: measures the rate of memory; called only if it matters, nil if the rate is
    ///   unknown.
    public init(_ run: Run, memoryBytesPerSecond: () -> Double?) {
        let seconds = run.prefillSeconds + run.decodeSeconds
        let waitShare = seconds > 0 ? min(1, (run.prefillWaitSeconds + run.decodeWaitSeconds) / seconds) : 0
        if waitShare >= 0.5 {
            let sweeps = run.decodeSweeps > 0
            let waitOfASweep = sweeps ? run.decodeWaitSeconds / run.decodeSweeps : run.prefillWaitSeconds
            let unread = max(1, run.unreadPerByte)
            let streamed = Int(Double(run.streamedBytesPerSweep) / unread)
            // The last weights that stay need the ring no more; less than a mebibyte is none that anybody gives.
            let whole = max(min(streamed, 1 << 20), streamed -| run.ringBytes)
            let more = min(1 << 30, whole)
            // Single reads are as fast as ever under a limit; they begin later.
            let rate = min(run.diskBytesPerSecond, run.diskLimit)
            let saved = rate > 0 ? Double(more < whole ? more : streamed) * unread / rate : 0
            self = .disk(
                share: waitShare, bytesPerSecond: rate, moreBytes: more,
                savedSeconds: min(saved, waitOfASweep) / run.tokensPerSweep)
            return
        }
        // What is read once, to stay, tells nothing of the sweeps behind it.
        let otherWaits = run.streamedBytesPerSweep > 0 ? waitShare : 0
        let prefill = run.prefillSeconds - run.prefillWaitSeconds
        let decode = run.decodeSeconds - run.decodeWaitSeconds
        let isPrompt = prefill > decode
        let rows = isPrompt ? Double(run.promptRows) : run.decodeRows
        let sweeps = isPrompt ? run.promptSweeps : run.decodeSweeps
        let rate = Double(run.weightBytes) * sweeps / max(prefill, decode, 1e-9)
        if let memory = memoryBytesPerSecond(), rate >= Prediction.memoryBoundShare * memory {
            // A processor's caches hold some of a small model.
            self = .memory(bytesPerSecond: rate, share: min(1, rate / memory), waitShare: otherWaits)
        } else {
            self = .compute(
                multiplyAddsPerSecond: rate / run.bytesPerWeight * rows,
                rows: Int(exactly: rows.rounded()) ?? .max, isPrompt: isPrompt, waitShare: otherWaits)
        }
    }
}

extension Model {
    /// The rate that weights are read at, at most, in bytes a second; infinite without a limit.
    public var diskLimit: Double { settings.reading.bytesPerSecondLimit }
}

extension Verdict: CustomStringConvertible {
    public var description: String {
        switch self {
        case .disk(let share, let rate, let more, let saved):
            let advice =
                more > 0 && saved.isNoticeable ? "; \(more.sizeText) more saves \(saved.asDuration) a token" : ""
            return "\(percent(share)) of the time waiting for the disk at \(rate.asByteRate)" + advice
        case .memory(let rate, let share, let waitShare):
            return "bound by memory: weights at \(rate.asByteRate), \(percent(share)) of what this machine reads"
                + Self.waiting(waitShare)
        case .compute(let rate, let rows, let isPrompt, let waitShare):
            let what = isPrompt ? "a prompt of \(rows) rows" : rows == 1 ? "one row" : "\(rows) rows a sweep"
            return "bound by the processor: \((rate / 1e9).fixed(1)) billion multiply-adds a second on \(what)"
                + Self.waiting(waitShare)
        }
    }

    private static func waiting(_ share: Double) -> String {
        share >= 0.05 ? "; \(percent(share)) of the time waiting for the disk" : ""
    }
}

private func percent(_ share: Double) -> String { "\((100 * share).fixed(0)) %" }
