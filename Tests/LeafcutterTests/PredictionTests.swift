import LeafExecutor
import LeafFormat
import LeafStream
import Leafcutter
import Testing

/// What plans of the published sizes are said to cost on a machine of given rates.
@Suite("prediction") struct PredictionTests {
    private static let disk = 1e9
    private let machine = KernelProbe(
        threads: 2, readBytesPerSecond: 20e9,
        rates: [
            KernelProbe.Rate(rows: 1, weightBytesPerSecond: 19e9),
            KernelProbe.Rate(rows: 64, weightBytesPerSecond: 1.9e9),
        ], bytesPerWeight: 1, joinSeconds: 20e-6, digestBytesPerSecond: 5e9, touchSecondsPerByte: 0.2e-9)
    private let file: ModelFile

    init() throws { file = try ModelFile(preset: .cpmAnt10B) }

    private func predict(
        _ gibibytes: Double, context: Int = 256, batch: Int = 1, disk: DiskRate = DiskRate(bytesPerSecond: disk)
    ) throws -> (Prediction, MemoryPlan) {
        let plan = try Model.plan(
            file,
            ModelOptions(
                memory: .gibibytes(gibibytes), threads: 2,
                capacity: .init(context: context * batch, rows: max(context, batch), sequences: batch)))
        return (
            Prediction(
                file, plan, promptRows: context, batch: batch, MachineRates(kernels: machine, disk: disk)), plan
        )
    }

    @Test func whatIsStreamedCostsTheDiskItsTime() throws {
        for gibibytes in [0.5, 1, 2, 4, 8] {
            let (prediction, plan) = try predict(gibibytes)
            #expect(prediction.bound == .disk)
            #expect(abs(prediction.secondsPerToken - Double(plan.streamedBytesPerSweep) / Self.disk) < 1e-9)
        }
    }

    @Test func aTokenNeverTakesLongerWithMoreMemory() throws {
        let times = try stride(from: 0.5, through: 11, by: 0.25).map { try predict($0).0.secondsPerToken }
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 >= $1 })
    }

    /// Weights, a full KV cache and the meetings of the threads, added up by hand: 97 blocks.
    @Test func everythingInMemoryCostsTheMemoryItsTime() throws {
        let (prediction, plan) = try predict(11)
        #expect(plan.streamedBytesPerSweep == 0)
        #expect(prediction.bound == .memory)
        let weights = 48 * (4 * 4096 * 4096 + 3 * 4096 * 10240) + 30720 * 4096
        let cache = 256 * 2 * 48 * 4096 * 2
        let meetings: Double = 3 * 96 + 1
        let expected: Double = Double(weights + cache) / 19e9 + meetings * 20e-6
        #expect(abs(prediction.secondsPerToken / expected - 1) < 0.001)
        #expect(prediction.secondsSavedByOneGibibyte == 0)
    }

    @Test func manyRowsAreBoundByTheProcessor() throws {
        let (prediction, _) = try predict(14, context: 64, batch: 64)
        #expect(prediction.bound == .compute)
        #expect(prediction.secondsPerToken > 9.4e9 / 1.9e9)
    }

    /// The first prompt reads, checks and places what a later one finds.
    @Test func theFirstPromptCostsMoreThanALaterOne() throws {
        let (prediction, plan) = try predict(11)
        let weights = 48 * (4 * 4096 * 4096 + 3 * 4096 * 10240)
        let linear: Double = Double(weights) / 1.9e9 * 4
        #expect(prediction.laterPrefillSeconds > linear && prediction.laterPrefillSeconds < 1.1 * linear)
        let first =
            Double(file.leaf.chunks.reduce(0) { $0 + $1.paddedBytes }) / 5e9 / 2
            + Double(plan.pinnedBytes) * 0.2e-9 / 2
        #expect(abs(prediction.prefillSeconds - prediction.laterPrefillSeconds - first) < 1e-6)
        let (slow, _) = try predict(11, disk: DiskRate(bytesPerSecond: 0.1e9))
        #expect(slow.prefillSeconds > 93)
    }

    @Test func aGibibyteMoreSavesItsReading() throws {
        let (prediction, _) = try predict(2)
        #expect(abs(prediction.secondsSavedByOneGibibyte - Double(1 << 30) / Self.disk) < 1e-6)
        let (next, _) = try predict(3)
        #expect(abs(prediction.secondsPerToken - next.secondsPerToken - prediction.secondsSavedByOneGibibyte) < 0.01)
    }

    @Test func aLimitedDiskReadsNoFasterThanItsLimit() throws {
        let disk = DiskRate(bytesPerSecond: 5e9, limit: 1e9, costOfComputing: 0.5, costOfReading: 0.5)
        let (prediction, plan) = try predict(0.5, disk: disk)
        #expect(prediction.secondsPerToken == Double(plan.streamedBytesPerSweep) / 1e9)
        #expect(prediction.readingSecondsPerToken == prediction.secondsPerToken && prediction.bound == .disk)
        let (unlimited, _) = try predict(
            0.5, disk: DiskRate(bytesPerSecond: 5e9, costOfComputing: 0.5, costOfReading: 0.5))
        #expect(unlimited.secondsPerToken < prediction.secondsPerToken / 3)
    }

    @Test(arguments: [0.5, 2, 4, 8, 11]) func readingAndComputingTakeFromEachOther(gibibytes: Double) throws {
        let disk = DiskRate(bytesPerSecond: 4e9, costOfComputing: 0.1, costOfReading: 0.6)
        let (prediction, plan) = try predict(gibibytes, disk: disk)
        let (alone, _) = try predict(gibibytes, disk: DiskRate(bytesPerSecond: 1e15))
        let reading = Double(plan.streamedBytesPerSweep) / 4e9
        let computing = alone.secondsPerToken
        // Where reading takes 2.25 times as long as computing both lines meet.
        let expected = reading > 2.25 * computing ? reading + 0.1 * computing : computing + 0.6 * reading
        #expect(abs(prediction.secondsPerToken - expected) < 1e-4)
    }

    @Test func whatReadingAndComputingCostIsLearntFromPasses() {
        let balanced = StreamProbe(blocks: 0..<4, bytesPerSecond: 3e9, readingSeconds: 0.2, bothSeconds: 0.34)
        let boundByDisk = StreamProbe(blocks: 0..<8, bytesPerSecond: 5e9, readingSeconds: 1.6, bothSeconds: 1.64)
        var disk = DiskRate(bytesPerSecond: 4e9)
        disk.learn(from: balanced, boundByDisk) { blocks in 0.05 * Double(blocks.count) }
        #expect(abs(disk.costOfReading - 0.7) < 1e-9 && abs(disk.costOfComputing - 0.1) < 1e-9)
        #expect(abs(disk.bytesPerSecond - 4e9) < 1)
        // A disk that became faster meanwhile costs nothing, a slower one no more than both one after the other.
        disk.learn(from: balanced, boundByDisk) { _ in 0.5 }
        #expect(disk.costOfReading == 0 && disk.costOfComputing == 0)
        disk.learn(from: balanced, boundByDisk) { _ in 0.01 }
        #expect(disk.costOfReading == 1 && disk.costOfComputing == 1)
    }
}
