import LeafExecutor
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// What budgets give, asked from both ends: how fast with so much memory, how much memory for such a speed.
@Suite("outlook") struct OutlookTests {
    private let rates = MachineRates(
        kernels: KernelProbe(
            threads: 2, readBytesPerSecond: 20e9,
            rates: [
                KernelProbe.Rate(rows: 1, weightBytesPerSecond: 19e9),
                KernelProbe.Rate(rows: 64, weightBytesPerSecond: 1.9e9),
            ], bytesPerWeight: 1, joinSeconds: 20e-6, digestBytesPerSecond: 5e9, touchSecondsPerByte: 0.2e-9),
        disk: DiskRate(bytesPerSecond: 1e9))
    private let file: ModelFile

    init() throws { file = try ModelFile(preset: .cpmAnt10B) }

    private func outlook(context: Int = 256) throws -> Outlook {
        try Outlook(
            file, ModelOptions(threads: 2, capacity: Demand(context: context)), promptRows: context, rates)
    }

    private func seconds(_ budget: Int, _ outlook: Outlook) throws -> Double {
        try outlook.forecast(budget: budget).prediction.secondsPerToken
    }

    /// Budgets are named in hundredths of a gibibyte.
    private static let step = 11 << 20

    @Test(arguments: [0.6, 1, 2, 5, 8.5]) func aWantedSpeedGetsTheSmallestMemoryThatGivesIt(wanted: Double) throws {
        let outlook = try outlook()
        let found = try outlook.forecast(secondsPerToken: wanted)
        #expect(found.prediction.secondsPerToken <= wanted)
        #expect(try seconds(found.plan.budget, outlook) <= wanted)
        #expect(try seconds(found.plan.budget - Self.step, outlook) > wanted)
        // At 1 GB/s all seconds but the last are for reading what is not in memory.
        let gigabytes = Double(found.plan.streamedBytesPerSweep) / 1e9
        #expect(gigabytes <= wanted && gigabytes > wanted - 0.025)
    }

    @Test func aSlowTargetIsMetByTheSmallestBudget() throws {
        let outlook = try outlook()
        let found = try outlook.forecast(secondsPerToken: 60)
        #expect((0..<Self.step).contains(found.plan.budget - outlook.smallest.plan.budget))
        #expect(throws: LeafError.self) { try outlook.forecast(budget: outlook.smallest.plan.budget - 1) }
    }

    @Test func whatNoMemoryGivesNamesTheBest() throws {
        let outlook = try outlook()
        let best = outlook.fastest
        #expect(best.plan.streamedBytesPerSweep == 0)
        let reached = try outlook.forecast(secondsPerToken: best.prediction.secondsPerToken)
        #expect(reached.plan.budget <= best.plan.budget.wholeMebibytes)
        let error = #expect(throws: LeafError.self) { try outlook.forecast(secondsPerToken: 0.1) }
        let time = best.prediction.secondsPerToken.asDuration
        let budget = best.plan.budget.roundedUpText
        #expect(
            error?.description
                == "no memory gives a token in 100 ms here: the best is \(time), with \(budget), which keeps "
                + "everything in memory")
        #expect(error?.kind == .budget)
        #expect(throws: LeafError.self) { try outlook.forecast(secondsPerToken: 0) }
    }

    @Test func theTableIsDenseWhereTheAnswerChanges() throws {
        let outlook = try outlook()
        let table = try outlook.forecasts()
        let budgets = table.map(\.plan.budget)
        #expect(table.first == outlook.smallest && table.last == outlook.fastest)
        #expect(zip(budgets, budgets.dropFirst()).allSatisfy { $0 < $1 })
        for power in [29, 30, 31, 32, 33] { #expect(budgets.contains(1 << power), "\(power)") }
        // From 4 GiB on a token takes less than half with each two more; the steps are an eighth of a power of two.
        let between = budgets.filter { $0 > 4 << 30 && $0 < 8 << 30 }
        #expect(between.count >= 3 && between.allSatisfy { $0 % (1 << 29) == 0 })
        for (low, high) in zip(table, table.dropFirst()) where high.plan.budget - low.plan.budget > 1 << 30 {
            #expect(low.prediction.secondsPerToken <= 1.3 * high.prediction.secondsPerToken, "\(low.plan.budget)")
        }
        #expect(budgets.filter { $0 < 2 << 30 }.count <= 4)
    }

    @Test(arguments: [(1, 256), (4, 100), (8, 37)]) func theLongestContextIsTheLongestThatHasAPlan(
        sequences: Int, context: Int
    ) throws {
        func options(_ context: Int, _ budget: Int) -> ModelOptions {
            ModelOptions(
                memory: .bytes(budget), threads: 2,
                capacity: Demand(
                    context: context * sequences, longest: context, rows: max(context, sequences),
                    logitRows: sequences, sequences: sequences))
        }
        let minimum = try Model.plan(file, options(context, .max)).minimum
        for budget in [minimum, minimum - 1, minimum + 100 << 20] {
            let longest = try #require(try Model.longestContext(file, options(context, budget)))
            #expect(throws: Never.self) { try Model.plan(file, options(longest, budget)) }
            #expect(throws: LeafError.self) { try Model.plan(file, options(longest + 1, budget)) }
        }
        #expect(try Model.longestContext(file, options(context, minimum - 1)) ?? 0 < context)
        #expect(try Model.longestContext(file, options(context, 1 << 20)) == nil)
    }

    @Test func aRefusalNamesTheContextAndWhatTheBudgetHolds() throws {
        func refusal(_ budget: Int, _ capacity: Demand) -> LeafError? {
            #expect(throws: LeafError.self) {
                try Model.plan(file, ModelOptions(memory: .bytes(budget), threads: 2, capacity: capacity))
            }
        }
        let options = ModelOptions(memory: .bytes(100 << 20), threads: 2, capacity: Demand(context: 256))
        let longest = try #require(try Model.longestContext(file, options))
        var unlimited = options
        unlimited.memory = .bytes(.max)
        let minimum = try Model.plan(file, unlimited).minimum
        #expect(
            refusal(100 << 20, Demand(context: 256))?.description
                == "this model needs at least \(minimum.roundedUpText) for 256 tokens, you gave 100.0 MiB, which is "
                + "enough for \(longest) tokens")
        #expect(refusal(100 << 20, Demand(context: 256))?.advice == .memory(bytes: minimum.wholeMebibytes))
        let none = refusal(20 << 20, Demand(context: 256))
        #expect(none?.description.contains("you gave 20.0 MiB, and a single token needs ") == true)
        let many = refusal(100 << 20, Demand(context: 512, longest: 128, sequences: 4))
        #expect(many?.description.contains("for 4 sequences of 128 tokens, ") == true)
    }
}
