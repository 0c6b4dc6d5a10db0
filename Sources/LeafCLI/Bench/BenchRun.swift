import Leafcutter

/// One line of a benchmark: what one budget gave. Lines of other programs may hold name, budget and times alone.
struct BenchRun: Decodable {
    /// The series that it belongs to.
    var name: String?
    var budget: Int
    var batch: Int?
    var promptRows: Int?
    var firstPrefillSeconds: Double?
    var prefillSeconds: [Double]?
    /// Of a decoding step, which gives each of `batch` sequences a token.
    var decodeSecondsPerToken: [Double]
    var weightBytes: Int?
    var streamedBytesPerSweep: Int?
    /// Measured beside the run.
    var diskBytesPerSecond: Double?
    var ramBytesPerSecond: Double?
    /// While the run was reading.
    var readBytesPerSecond: Double?
    var waitShare: Double?
    var io: String?
    var planned: Int?
    var peak: Int?
    var predictedSecondsPerToken: Double?
    var predictedPrefillSeconds: Double?
    var predictedFirstPrefillSeconds: Double?
    var machine: BenchMachine?

    enum CodingKeys: String, CodingKey {
        case name, budget, batch, io, planned, peak, machine
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

    /// What is plotted or divided by must be a number above nothing, and a name must fit into a cell of a table.
    var isSound: Bool {
        (name ?? "").unicodeScalars.allSatisfy { $0 >= " " && $0 != "|" } && budget > 0
            && !decodeSecondsPerToken.isEmpty && (batch ?? 1) > 0
            && (decodeSecondsPerToken + (prefillSeconds ?? []) + [predictedSecondsPerToken ?? 1])
                .allSatisfy { $0 > 0 && $0.isFinite }
    }

    var secondsPerToken: Sample { Sample(decodeSecondsPerToken) }
    /// Of all sequences together.
    var tokensPerSecond: Double { Double(batch ?? 1) / secondsPerToken.mean }

    /// The least time that the disk and the memory allow a decoding step, and which of the two it is.
    var limit: (seconds: Double, isDisk: Bool)? {
        let disk = streamedBytesPerSweep.flatMap { bytes in diskBytesPerSecond.map { Double(bytes) / $0 } }
        let memory = weightBytes.flatMap { bytes in ramBytesPerSecond.map { Double(bytes) / $0 } }
        guard let disk, let memory else { return nil }
        return disk >= memory ? (disk, true) : (memory, false)
    }

    /// How much of what the limit allows was reached.
    var limitShare: Double? { limit.map { $0.seconds / secondsPerToken.mean } }
}

/// A mean and how far the values lie from it.
struct Sample {
    let mean: Double
    /// Of a sample; zero for a single value.
    let deviation: Double

    init(_ values: [Double]) {
        let mean = values.reduce(0, +) / Double(max(1, values.count))
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        self.mean = mean
        deviation = values.count > 1 ? (squares / Double(values.count - 1)).squareRoot() : 0
    }
}

extension BenchRun {
    /// What was not measured is left out.
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
