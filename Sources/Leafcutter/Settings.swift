import CPMAnt
import LeafFormat
import LeafGeneration
import LeafStream
import LeafTokenizer

/// Options made definite for one file and this machine.
struct Settings {
    let file: ModelFile
    let budget: Int
    let reading: ReadingOptions
    /// What an automatic budget left to others; nil for a given budget.
    let reserveBytes: Int?
    let activations: ActivationPrecision
    let kv: KVPrecision
    let instructionSet: InstructionSet
    let capacity: ForwardCapacity
    let trace: TraceRecorder?
    let keepsSessions: Bool

    init(_ file: ModelFile, _ options: ModelOptions) throws(LeafError) {
        self.file = file
        reading = options.reading
        if let rate = reading.maxBytesPerSecond, rate <= 0 {
            throw LeafError(.usage, "a reading rate of \(rate) bytes a second reads nothing; give more")
        }
        trace = options.trace
        keepsSessions = options.keepsSessions
        activations = options.activations
        kv = options.kv ?? (file.leaf.weights == .int8 ? .f16 : .f32)
        instructionSet =
            if let wanted = options.instructionSet { wanted } else {
                try InstructionSet(named: Environment.instructionSet)
            }
        switch options.memory {
        case .automatic:
            let machine = Machine.current()
            budget = machine.defaultBudget
            reserveBytes = machine.reserveBytes
        case .bytes(let bytes):
            budget = bytes
            reserveBytes = nil
        }
        let threads = options.threads ?? Machine.current().cores
        guard (1...1024).contains(threads) else {
            throw LeafError(.usage, "\(threads) threads make no sense; give --threads between 1 and 1024")
        }
        guard options.capacity.context > 0 else {
            throw LeafError(.usage, "a context of \(options.capacity.context) tokens makes no sense; give at least 1")
        }
        capacity = ForwardCapacity(
            rows: options.capacity.rows, logitRows: options.capacity.logitRows, positions: options.capacity.context,
            sequences: options.capacity.sequences, threads: threads)
    }

    /// - Throws: `.budget` naming the smallest budget that works.
    func plan() throws(LeafError) -> MemoryPlan {
        let bytes = CPMAntModel.plannedBytes(
            file.leaf, capacity: capacity, activations: activations, kv: kv, tuning: file.tuning(instructionSet))
        return try MemoryPlan(
            budget: budget, isGiven: reserveBytes == nil, chunks: file.leaf.chunks,
            reserved: MemoryPlan.Reserved(
                runtime: MemoryPlan.runtimeBytes, tokenizer: file.tokenizer?.byteCount ?? 0,
                resident: bytes.resident, kv: bytes.kv,
                scratch: bytes.scratch + SamplingWorkspace.byteCount(file.configuration)
                    + (trace == nil ? 0 : TraceRecorder.byteCount)
                    + (keepsSessions ? SessionWriter.bufferBytes : 0)))
    }
}
