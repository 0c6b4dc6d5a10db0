import LeafArguments
import LeafFormat
import LeafSystem
import Leafcutter

/// The result of `leafcutter plan`.
struct PlanReport {
    let file: LeafFile
    let plan: MemoryPlan
    let context: Int
    /// The time for a token that the plan was made for.
    let target: Seconds?
    let prediction: Prediction
    /// Forecasts for more memory.
    let more: [Outlook.Forecast]
    let rates: MachineRates
    let maxContext: Int
    let bytesPerToken: Int

    /// The number of blocks whose chunks are all pinned.
    private var pinnedBlocks: Int {
        let pinned = Set(plan.pinnedChunks)
        return file.blocks.count { $0.chunks.allSatisfy(pinned.contains) }
    }

    var text: String {
        let waits =
            switch prediction.bound {
            case .disk: "waiting for the disk (\(rates.disk.allowedBytesPerSecond.asByteRate))"
            case .memory: "as fast as the memory is (\(rates.kernels.weightBytesPerSecond(rows: 1).asByteRate))"
            case .compute: "as fast as the processor computes"
            }
        var lines = [
            plan.description, "",
        ]
        if let target {
            lines.append(
                "smallest memory for a token in \(target.seconds.asDuration): \(plan.budget.roundedUpText)")
        }
        lines += [
            "fits: a token takes about \(prediction.secondsPerToken.asDuration), \(waits)",
            "a prompt of \(context.of("row")) takes about \(prediction.prefillSeconds.asDuration)",
            "longest context at this budget: \(maxContext.of("token")), \(ByteCount(bytes: bytesPerToken)) each",
        ]
        if plan.streamedBytesPerSweep > 0, prediction.secondsSavedByOneGibibyte.isNoticeable {
            let more = ByteCount(bytes: min(1 << 30, plan.streamedBytesPerSweep))
            lines.append("\(more) more memory saves \(prediction.secondsSavedByOneGibibyte.asDuration) a token")
        }
        if !self.more.isEmpty {
            lines += ["", "a token with more memory:"]
            lines += self.more.map {
                "\($0.plan.budget.roundedUpText): \($0.prediction.secondsPerToken.asDuration)"
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    var json: JSON {
        var fields: [(key: String, value: JSON)] = [
            ("fits", .bool(true)), ("minimum", .integer(plan.minimum)), ("budget", .integer(plan.budget)),
            ("context", .integer(context)),
        ]
        if let target {
            fields += [("reached", .bool(true)), ("target_seconds_per_token", .number(target.seconds))]
        }
        return .object(fields + details)
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
            ("with_more_memory", .array(more.map(\.json))),
        ]
    }
}
