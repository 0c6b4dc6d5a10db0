import CPMAnt
import CPMAntShape
import LeafExecutor
import LeafFormat
public import LeafStream

/// Predicts the seconds per token of a plan, from measured rates of a disk and a machine.
///
/// Reading and computing happen at the same time, as far as the machine allows: pinned chunks are spread over the
/// sweep, and slots buffer several chunks.
public struct Prediction: Sendable, Equatable {
    /// What limits a decoding step.
    public enum Bound: String, Sendable {
        case disk, memory, compute
    }

    /// Seconds of one decoding step at a full context. A step gives every sequence a token.
    public let secondsPerToken: Double
    /// Seconds for reading alone.
    public let readingSecondsPerToken: Double
    /// Seconds for computing alone.
    public let computingSecondsPerToken: Double
    /// Seconds of the first sweep, which has the prompt's rows, and reads and checks everything once.
    public let prefillSeconds: Double
    /// Seconds of the same prompt later, when pinned chunks are in memory.
    public let laterPrefillSeconds: Double
    public let bound: Bound
    /// Seconds per token saved by one GiB more, or by as much as is still streamed.
    public let secondsSavedByOneGibibyte: Double

    /// If weights are used at less than this share of memory's rate, the processor is the limit.
    static let memoryBoundShare = 0.6
    /// Attention's float kernels reach about half of the multiply-adds of the int8 ones (Benchmarks/RESULTS.md).
    private static let attentionCost = 2.0

    /// - Parameters:
    ///   - promptRows: rows of the prompt, soft prompt included.
    ///   - batch: the number of sequences that decode together.
    public init(_ file: ModelFile, _ plan: MemoryPlan, promptRows: Int, batch: Int = 1, _ rates: MachineRates) {
        let machine = rates.kernels
        let disk = rates.disk
        let sweep = SweepCost(file.ant, file.leaf.blocks.indices, machine)
        let streamed = Double(plan.streamedBytesPerSweep)
        let everything = Double(file.leaf.chunks.paddedBytes)
        // Readers share the processor with the compute threads.
        let firstCost =
            (everything / machine.digestBytesPerSecond + Double(plan.pinnedBytes) * machine.touchSecondsPerByte)
            / Double(machine.threads)

        let compute =
            sweep.seconds(rows: batch, logitRows: batch)
            + Double(plan.bytes(for: .kv)) / machine.weightBytesPerSecond(rows: 1)
        secondsPerToken = disk.seconds(reading: streamed, computing: compute)
        readingSecondsPerToken = streamed / disk.allowedBytesPerSecond
        computingSecondsPerToken = compute
        let isFedByMemory =
            machine.weightBytesPerSecond(rows: batch) >= Self.memoryBoundShare * machine.readBytesPerSecond
        bound = readingSecondsPerToken >= compute ? .disk : isFedByMemory ? .memory : .compute

        let attention =
            Double(file.configuration.attentionLayers.reduce(0) { $0 + file.configuration.dimAttention(ofLayer: $1) })
            * 2 * Double(promptRows) * Double(promptRows) * Self.attentionCost
            / machine.multiplyAddsPerSecond(rows: promptRows)
        let prompt = sweep.seconds(rows: promptRows, logitRows: 1) + attention
        prefillSeconds = disk.seconds(reading: everything, computing: prompt + firstCost)
        laterPrefillSeconds = disk.seconds(reading: streamed, computing: prompt)

        let less = max(0, streamed - 1_073_741_824)
        secondsSavedByOneGibibyte = secondsPerToken - disk.seconds(reading: less, computing: compute)
    }
}

/// Seconds that some blocks of a sweep take to compute, without reading.
struct SweepCost {
    private let layerBytes: Double
    private let tableBytes: Double
    private let joins: Double
    private let machine: KernelProbe

    /// - Parameter blocks: indices of blocks of the file.
    init(_ file: CPMAntFile, _ blocks: some Sequence<Int>, _ machine: KernelProbe) {
        func bytes(_ blocks: [Int]) -> Double {
            let bytes = blocks.lazy.flatMap { file.leaf.blocks[$0].matrices }.reduce(0) {
                let matrix = file.leaf.matrices[$1]
                return $0 + matrix.layout.byteCount(outputs: matrix.storedOutputs, columns: matrix.columns)
            }
            return Double(bytes)
        }
        let head = file.facts.outputBlock
        let layers = blocks.filter { $0 < head }
        let table = blocks.filter { $0 == head }
        layerBytes = bytes(layers)
        tableBytes = bytes(table)
        // Threads meet after the projections, the attention, the output; after each of three matrices; after the table.
        joins = Double(3 * layers.count + table.count)
        self.machine = machine
    }

    /// - Parameter logitRows: rows that want logits; only these use the token table.
    func seconds(rows: Int, logitRows: Int) -> Double {
        layerBytes / machine.weightBytesPerSecond(rows: rows)
            + tableBytes / machine.weightBytesPerSecond(rows: logitRows) + joins * machine.joinSeconds
    }
}
