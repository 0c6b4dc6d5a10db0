import LeafExecutor
import LeafFormat
import LeafSystem
import Testing

@Suite("kernel probe") struct KernelProbeTests {
    private let probe = KernelProbe(
        threads: 2, readBytesPerSecond: 20e9,
        rates: [
            KernelProbe.Rate(rows: 64, weightBytesPerSecond: 2e9),
            KernelProbe.Rate(rows: 1, weightBytesPerSecond: 18e9),
            KernelProbe.Rate(rows: 16, weightBytesPerSecond: 6e9),
        ], bytesPerWeight: 2, joinSeconds: 0, digestBytesPerSecond: 5e9, touchSecondsPerByte: 0)

    @Test func measuredRowsGiveTheMeasuredRate() {
        for (rows, rate) in [(1, 18e9), (16, 6e9), (64, 2e9)] {
            #expect(abs(probe.weightBytesPerSecond(rows: rows) - rate) < 1)
        }
        #expect(abs(probe.multiplyAddsPerSecond(rows: 64) - 64e9) < 1)
    }

    /// The time for a byte grows with every row, by the same between two measured numbers and in proportion beyond.
    @Test func timeGrowsEvenlyBetweenAndInProportionBeyond() {
        let times = (1...256).map { 1 / probe.weightBytesPerSecond(rows: $0) }
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
        let middle = (1 / 6e9 + 1 / 2e9) / 2
        #expect(abs(times[40 - 1] / middle - 1) < 1e-9)
        #expect(abs(times[256 - 1] / (4 * times[64 - 1]) - 1) < 1e-9)
    }

    /// Each step takes most of a second, so the look between two steps comes too late.
    @Test func aMeasurementCanBeEndedWithinAStep() {
        for last in [1, 3, 6] {
            var looks = 0
            let error = #expect(throws: LeafError.self) {
                _ = try KernelProbe.measure(
                    instructionSet: InstructionSet.available[0], threads: 2, memoryBytes: 16 << 20,
                    check: { () throws(LeafError) in
                        looks += 1
                        if looks == last { throw LeafError(.cancelled, "interrupted") }
                    })
            }
            #expect(error?.kind == .cancelled && looks == last)
        }
    }

    @Test(arguments: WeightFormat.allCases, InstructionSet.available)
    func everyKindOfWeightsIsMeasured(weights: WeightFormat, set: InstructionSet) throws {
        let probe = try KernelProbe.measure(
            instructionSet: set, threads: 2, weights: weights, rows: [3], memoryBytes: 16 << 20)
        #expect(probe.rates.map(\.rows) == [1, 3])
        #expect(probe.bytesPerWeight == weights.bytesPerWeight)
        for value in [
            probe.readBytesPerSecond, probe.weightBytesPerSecond(rows: 1), probe.weightBytesPerSecond(rows: 3),
            probe.joinSeconds, probe.digestBytesPerSecond, probe.touchSecondsPerByte,
        ] { #expect(value > 0 && value.isFinite) }
    }
}
