import LeafExecutor
package import LeafFormat
import LeafStream
package import LeafSystem
package import Leafcutter

/// A budget that a model fits, and how fast it will be.
package struct PlanAnswer {
    private let file: LeafFile
    package let plan: MemoryPlan
    package let prediction: Prediction
    /// With drafts; nil where none were asked for.
    package let speculation: SpeculationForecast?
    /// Seconds a token of the same budget without drafts; nil where none were asked for.
    package let offSecondsPerToken: Double?
    /// Seconds a token, with drafts, that `moreBytes` more memory save.
    package let secondsSavedByMore: Double
    package static let moreBytes = 1 << 30
    /// Bytes more than the budget that make tokens faster.
    package let usefulBytes: Int
    package let rates: MachineRates
    /// Tokens of the longest text, and rows of the prompt that is predicted.
    package let context: Int
    /// Seconds a token that the budget was found for, if it was.
    package let target: Double?
    /// Forecasts for more memory.
    package let more: [Outlook.Forecast]
    package let minimum: Int
    package let maxContext: Int
    package let bytesPerToken: Int

    /// Tokens that a plan is made for at most.
    package static let longestContext = 1 << 20

    /// - Parameters:
    ///   - forecast: one of `outlook`'s.
    ///   - options: of a model that is opened with the forecast's budget.
    ///   - smallest: the same with as little as works, which decides the smallest budget and the longest context; nil
    ///     where `options` are that.
    package init(
        _ file: ModelFile, _ forecast: Outlook.Forecast, of outlook: Outlook, context: Int, target: Double? = nil,
        _ rates: MachineRates, _ options: ModelOptions, smallest: ModelOptions? = nil
    ) throws(LeafError) {
        self.file = file.leaf
        (plan, prediction, speculation) = (forecast.plan, forecast.prediction, forecast.speculation)
        offSecondsPerToken = forecast.off?.secondsPerToken
        usefulBytes = max(0, outlook.fastest.plan.budget - forecast.plan.budget)
        secondsSavedByMore =
            forecast.speculation == nil
            ? forecast.prediction.secondsSavedByOneGibibyte
            : try outlook.secondsSaved(by: Self.moreBytes, beyond: forecast)
        (self.rates, self.context, self.target) = (rates, context, target)
        more = try outlook.forecasts().filter { $0.plan.budget > forecast.plan.budget }
        var least = smallest ?? options
        least.drafts = .none
        minimum = try Model.plan(file, least).minimum
        maxContext = try Model.longestContext(file, least) ?? context
        bytesPerToken = try Self.bytesPerToken(file, options)
    }

    /// Bytes of the KV cache for one more token; the cache grows by pages.
    private static func bytesPerToken(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) -> Int {
        let span = 1024
        var options = options
        options.memory = .bytes(.max)
        var larger = options
        larger.capacity.pages +|= Demand.pages(holding: span)
        return (try Model.plan(file, larger).bytes(for: .kv) - Model.plan(file, options).bytes(for: .kv)) / span
    }

    package var blockCount: Int { file.blocks.count }

    /// The number of blocks whose chunks are all pinned.
    private var pinnedBlocks: Int {
        let pinned = Set(plan.pinnedChunks)
        return file.blocks.count { $0.chunks.allSatisfy(pinned.contains) }
    }

    package var json: JSON {
        var fields: [(key: String, value: JSON)] = [
            ("fits", .bool(true)), ("minimum", .integer(minimum)), ("budget", .integer(plan.budget)),
            ("context", .integer(context)),
        ]
        if let target { fields += [("reached", .bool(true)), ("target_seconds_per_token", .number(target))] }
        return .object(fields + details)
    }

    private var speculated: [(key: String, value: JSON)] {
        guard let speculation else { return [] }
        let fields: [(key: String, value: JSON)] =
            [("mode", .string(speculation.mode))] + speculation.acceptance.fields + [
                ("drafts", .integer(speculation.drafts)), ("tokens_per_sweep", .number(speculation.tokensPerSweep)),
                ("seconds_per_token", .number(speculation.secondsPerToken)),
                ("draft_seconds", .number(speculation.draftSeconds)),
                ("draft_bytes", .integer(speculation.draftBytes)), ("lent_blocks", .integer(speculation.lentBlocks)),
                ("off_seconds_per_token", offSecondsPerToken.map { .number($0) } ?? .null),
                ("seconds_saved_by_one_gibibyte", .number(secondsSavedByMore)),
            ]
        return [("speculation", .object(fields))]
    }

    private var details: [(key: String, value: JSON)] {
        let pinned = pinnedBlocks
        return [
            ("parts", .object(plan.parts.map { ($0.purpose.rawValue, .integer($0.bytes)) })),
            (
                "blocks",
                [
                    "total": .integer(file.blocks.count), "pinned": .integer(pinned),
                    "streamed": .integer(file.blocks.count - pinned),
                ]
            ),
            (
                "chunks",
                [
                    "total": .integer(plan.chunkCount), "pinned": .integer(plan.pinnedChunks.count),
                    "streamed": .integer(plan.chunkCount - plan.pinnedChunks.count),
                ]
            ),
            ("streamed_bytes_per_sweep", .integer(plan.streamedBytesPerSweep)),
            ("kv_bytes_per_token", .integer(bytesPerToken)), ("max_context", .integer(maxContext)),
            ("disk_bytes_per_second", .number(rates.disk.allowedBytesPerSecond)),
            ("cost_of_computing", .number(rates.disk.costOfComputing)),
            ("cost_of_reading", .number(rates.disk.costOfReading)),
            (
                "predicted",
                [
                    "seconds_per_token": .number(prediction.secondsPerToken),
                    "reading_seconds_per_token": .number(prediction.readingSecondsPerToken),
                    "computing_seconds_per_token": .number(prediction.computingSecondsPerToken),
                    "prefill_seconds": .number(prediction.prefillSeconds), "bound": .string(prediction.bound.rawValue),
                ]
            ),
        ] + speculated + [("with_more_memory", .array(more.map(\.json)))]
    }
}

extension DraftAcceptance {
    /// The chance, and what it comes from: `"acceptance","acceptance_from":"given"|"kept"|"assumed"`; where it was
    /// kept, `"acceptance_guesses","acceptance_file"` as well, and with `"acceptance_guesses_needed"` where too little
    /// was kept.
    fileprivate var fields: [(key: String, value: JSON)] {
        let origin: [(key: String, value: JSON)] =
            switch self {
            case .given: [("acceptance_from", "given")]
            case .assumed: [("acceptance_from", "assumed")]
            case .begun(_, let guesses, let needed, let file):
                [
                    ("acceptance_from", "assumed"), ("acceptance_guesses", .integer(guesses)),
                    ("acceptance_guesses_needed", .integer(needed)), ("acceptance_file", .string(file)),
                ]
            case .kept(_, let guesses, let file):
                [
                    ("acceptance_from", "kept"), ("acceptance_guesses", .integer(guesses)),
                    ("acceptance_file", .string(file)),
                ]
            }
        return [("acceptance", .number(chance))] + origin
    }
}

extension MemoryBudget {
    /// All there is for one that nobody gave.
    package var amount: Int { if case .bytes(let bytes) = self { bytes } else { .max } }
}
