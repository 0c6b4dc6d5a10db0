import LeafFormat
import Leafcutter

/// The result of a benchmark for one budget. Lines of other programs may have only name, budget and times.
struct BenchRun: Decodable {
    /// The name of its series.
    var name: String?
    var budget: Int
    var batch: Int?
    var promptRows: Int?
    var firstPrefillSeconds: Double?
    var prefillSeconds: [Double]?
    /// Seconds of each decoding step, which gives each of `batch` sequences a token.
    var decodeSecondsPerToken: [Double]
    var weightBytes: Int?
    var streamedBytesPerSweep: Int?
    /// The disk's rate measured beside the run.
    var diskBytesPerSecond: Double?
    var ramBytesPerSecond: Double?
    /// The rate while the run was reading.
    var readBytesPerSecond: Double?
    var waitShare: Double?
    /// What drafted, for a text that was written; the other facts of drafting are those of all its repeats.
    var speculation: String?
    var tokensPerSweep: Double?
    var drafted: Int?
    var accepted: Int?
    var draftSeconds: Double?
    var io: String?
    var planned: Int?
    var peak: Int?
    var predictedSecondsPerToken: Double?
    var predictedPrefillSeconds: Double?
    var predictedFirstPrefillSeconds: Double?
    var machine: BenchMachine?

    enum CodingKeys: String, CodingKey {
        case name, budget, batch, io, planned, peak, machine, speculation, drafted, accepted
        case tokensPerSweep = "tokens_per_sweep"
        case draftSeconds = "draft_seconds"
        case promptRows = "prompt_rows"
        case firstPrefillSeconds = "first_prefill_seconds"
        case prefillSeconds = "prefill_seconds"
        case decodeSecondsPerToken = "decode_seconds_per_token"
        case weightBytes = "weight_bytes"
        case streamedBytesPerSweep = "streamed_bytes_per_sweep"
        case diskBytesPerSecond = "disk_bytes_per_second"
        case ramBytesPerSecond = "ram_bytes_per_second"
        case readBytesPerSecond = "read_bytes_per_second"
        case waitShare = "wait_share"
        case predictedSecondsPerToken = "predicted_seconds_per_token"
        case predictedPrefillSeconds = "predicted_prefill_seconds"
        case predictedFirstPrefillSeconds = "predicted_first_prefill_seconds"
    }

    /// Whether numbers that are plotted or divided by are positive, and the name fits into a cell of a table.
    var isSound: Bool {
        (name ?? "").unicodeScalars.allSatisfy { $0 >= " " && $0 != "|" } && budget > 0
            && !decodeSecondsPerToken.isEmpty && (batch ?? 1) > 0
            && (decodeSecondsPerToken + (prefillSeconds ?? []) + [predictedSecondsPerToken ?? 1])
                .allSatisfy { $0 > 0 && $0.isFinite }
            && (tokensPerSweep ?? 1) >= 1
    }

    var secondsPerToken: Sample { Sample(decodeSecondsPerToken) }
    /// Tokens per second of all sequences together.
    var tokensPerSecond: Double { Double(batch ?? 1) / secondsPerToken.mean }

    /// The least time for a token of each text that disk and memory allow, and which of them it is.
    var limit: (seconds: Double, isDisk: Bool)? {
        func seconds(_ bytes: Int?, _ rate: Double?) -> Double? {
            bytes.flatMap { bytes in rate.map { Double(bytes) / $0 / (tokensPerSweep ?? 1) } }
        }
        let disk = seconds(streamedBytesPerSweep, diskBytesPerSecond)
        let memory = seconds(weightBytes, ramBytesPerSecond)
        guard let disk, let memory else { return nil }
        return disk >= memory ? (disk, true) : (memory, false)
    }

    /// The share of the limit that was reached.
    var limitShare: Double? { limit.map { $0.seconds / secondsPerToken.mean } }
}

/// A mean, and the deviation from it.
struct Sample {
    let mean: Double
    /// The standard deviation; zero for a single value.
    let deviation: Double

    init(_ values: [Double]) {
        let mean = values.reduce(0, +) / Double(max(1, values.count))
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        self.mean = mean
        deviation = values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : 0
    }
}

extension BenchRun {
    /// Values that were not measured are left out.
    var json: JSON {
        var fields: [(key: String, value: JSON)] = []
        func add(_ key: CodingKeys, _ value: JSON?) {
            if let value { fields.append((key.rawValue, value)) }
        }
        func numbers(_ values: [Double]) -> JSON { .array(values.map { .number($0) }) }
        add(.name, name.map { .string($0) })
        add(.budget, .integer(budget))
        add(.batch, batch.map { .integer($0) })
        add(.promptRows, promptRows.map { .integer($0) })
        add(.firstPrefillSeconds, firstPrefillSeconds.map { .number($0) })
        add(.prefillSeconds, prefillSeconds.map(numbers))
        add(.decodeSecondsPerToken, numbers(decodeSecondsPerToken))
        add(.weightBytes, weightBytes.map { .integer($0) })
        add(.streamedBytesPerSweep, streamedBytesPerSweep.map { .integer($0) })
        add(.diskBytesPerSecond, diskBytesPerSecond.map { .number($0) })
        add(.ramBytesPerSecond, ramBytesPerSecond.map { .number($0) })
        add(.readBytesPerSecond, readBytesPerSecond.map { .number($0) })
        add(.waitShare, waitShare.map { .number($0) })
        add(.speculation, speculation.map { .string($0) })
        add(.tokensPerSweep, tokensPerSweep.map { .number($0) })
        add(.drafted, drafted.map { .integer($0) })
        add(.accepted, accepted.map { .integer($0) })
        add(.draftSeconds, draftSeconds.map { .number($0) })
        add(.io, io.map { .string($0) })
        add(.planned, planned.map { .integer($0) })
        add(.peak, peak.map { .integer($0) })
        add(.predictedSecondsPerToken, predictedSecondsPerToken.map { .number($0) })
        add(.predictedPrefillSeconds, predictedPrefillSeconds.map { .number($0) })
        add(.predictedFirstPrefillSeconds, predictedFirstPrefillSeconds.map { .number($0) })
        add(.machine, machine?.json)
        return .object(fields)
    }
}
