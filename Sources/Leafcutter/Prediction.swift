public import CPMAnt
public import LeafFormat
public import LeafStream

/// What a plan will cost in time on a disk and a machine of known rates.
public struct Prediction: Sendable, Equatable {
    /// What a decoding step waits for.
    public enum Bound: String, Sendable {
        case disk, memory, compute
    }

    public let secondsPerToken: Double
    /// The first sweep, which reads everything once, with the prompt's rows.
    public let prefillSeconds: Double
    public let bound: Bound
    /// How much sooner a token would come with one GiB more, or with as much as is still streamed.
    public let secondsSavedByOneGibibyte: Double

    /// - Parameters:
    ///   - promptRows: rows of the prompt, soft prompt included.
    ///   - batch: sequences that decode together.
    ///   - diskBytesPerSecond: sustained.
    public init(
        _ file: LeafFile, _ plan: MemoryPlan, promptRows: Int, batch: Int = 1, diskBytesPerSecond: Double,
        machine: KernelProbe
    ) {
        let weights = file.matrices.reduce(0) { $0 + $1.paddedRows * $1.paddedColumns }
        let table =
            file.blocks.last.map { block in
                block.matrices.reduce(0) { $0 + file.matrices[$1].paddedRows * file.matrices[$1].paddedColumns }
            } ?? 0
        let weightBytes = Double(weights * file.weights.elementBytes)
        let streamed = Double(plan.streamedBytesPerSweep)
        let everything = file.chunks.reduce(0) { $0 + $1.paddedBytes }

        let disk = streamed / diskBytesPerSecond
        let memory = weightBytes / machine.weightBytesPerSecond
        let compute = Double(weights) * Double(batch) / machine.multiplyAddsPerSecond
        secondsPerToken = max(disk, memory, compute)
        bound = disk >= max(memory, compute) ? .disk : memory >= compute ? .memory : .compute
        // Only rows that want logits meet the token table.
        let prompt = Double(weights - table) * Double(promptRows) / machine.multiplyAddsPerSecond
        prefillSeconds = max(Double(everything) / diskBytesPerSecond, prompt, memory)
        let saved = min(streamed, 1_073_741_824) / diskBytesPerSecond
        secondsSavedByOneGibibyte = max(0, min(saved, secondsPerToken - max(memory, compute)))
    }
}
