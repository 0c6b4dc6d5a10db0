import LeafFormat
import LeafStream
import LeafSystem
import LeafWire
import Leafcutter

/// What is shown of a model's sweeps while they run: `GET /events`.
struct SweepFeed {
    private let model: Model
    private let name: String
    private var clock = SweepClock()
    private(set) var reading: SweepClock.Reading?
    /// The last look, for rates.
    private var last: (at: ContinuousClock.Instant, counters: Counters)
    private var bytesPerSecond = 0.0
    private var waitShare = 0.0
    private var sweepSeconds: Double?
    private var sweeps = 0
    private var sweepBegan: ContinuousClock.Instant?

    init(_ model: Model, name: String) {
        (self.model, self.name) = (model, name)
        last = (.now, model.counters)
    }

    /// Seconds that a sweep takes at present; nil before the first one has come far enough.
    var secondsPerSweep: Double? { sweepSeconds ?? reading?.seconds }

    /// Looks at the model; some times a second.
    ///
    /// - Parameter isRunning: whether anybody is on a sweep.
    mutating func look(isRunning: Bool, at now: ContinuousClock.Instant = .now) {
        let counters = model.counters
        if !isRunning {
            (clock, reading, sweepBegan) = (SweepClock(began: now), nil, nil)
            sweeps = counters.sweeps
        } else {
            if sweepBegan == nil { (clock, sweepBegan) = (SweepClock(began: now), now) }
            if counters.sweeps > sweeps, let began = sweepBegan {
                let seconds = (now - began) / .seconds(1) / Double(counters.sweeps - sweeps)
                sweepSeconds = sweepSeconds.map { $0 + (seconds - $0) / 4 } ?? seconds
                (sweeps, sweepBegan) = (counters.sweeps, now)
            }
            reading = clock.read(model.sweepPosition, at: now)
        }
        let seconds = (now - last.at) / .seconds(1)
        guard seconds >= Self.rateSeconds else { return }
        bytesPerSecond = Double(counters.bytesRead - last.counters.bytesRead) / seconds
        waitShare = min(1, Double(counters.waitNanoseconds - last.counters.waitNanoseconds) * 1e-9 / seconds)
        last = (now, counters)
    }

    /// Over which rates are measured.
    private static let rateSeconds = 1.0

    /// What stays the same while the model is open.
    var modelEvent: JSON {
        let file = model.file
        let view = model.engine.store.position
        return [
            "name": .string(name), "parameters": .integer(file.parameterCount),
            "layers": .integer(file.configuration.layers.count), "blocks": .integer(file.leaf.blocks.count),
            "bytes": .integer(file.leaf.fileBytes), "memory": .memory(model),
            "context": .integer(model.capacity.longest),
            "prompt_length": .integer(file.configuration.promptLength),
            "sequences": .integer(model.capacity.sequences),
            "vocabulary": .bool(model.tokenizer != nil), "pinned": .string(pinned(view)),
        ]
    }

    struct Riders {
        var rows = 0
        var texts = 0
        var queued = 0
        var tokensPerSweep = 0.0
    }

    func sweepEvent(_ riders: Riders) -> JSON {
        let view = model.engine.store.position
        let isRunning = reading != nil
        return [
            "sweep": .integer(model.counters.sweeps + (isRunning ? 1 : 0)), "running": .bool(isRunning),
            "computing": isRunning ? block(of: view.computing) : .null,
            "reading": isRunning ? view.reading.map(block) ?? .null : .null, "pinned": .string(pinned(view)),
            "rows": .integer(isRunning ? riders.rows : 0), "texts": .integer(riders.texts),
            "queued": .integer(riders.queued), "sweep_seconds": secondsPerSweep.map { .number($0) } ?? .null,
            "seconds_left": reading?.secondsLeft.map { .number($0) } ?? .null,
            "bytes_per_second": .number(bytesPerSecond), "wait_share": .number(waitShare), "memory": .memory(model),
            "tokens_per_sweep": .number(riders.tokensPerSweep),
        ]
    }

    private func block(of chunk: Int) -> JSON {
        model.file.leaf.blocks.firstIndex { $0.chunks.contains(chunk) }.map { .integer($0) } ?? .null
    }

    /// One digit a block, 1 for one that stays in memory.
    private func pinned(_ view: SweepView) -> String {
        String(model.file.leaf.blocks.map { $0.chunks.allSatisfy { view.isPinned[$0] } ? "1" : "0" })
    }
}
