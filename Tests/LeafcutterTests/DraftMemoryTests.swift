import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafGeneration
import LeafImport
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// What drafts and the model share the memory, by what is taken to be right, and what is said where nothing drafts.
@Suite struct DraftMemoryTests {
    private func convert(_ directory: TemporaryDirectory) throws -> ModelFile {
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "hf", weights: .int8, to: path)
        return try ModelFile(path: path)
    }

    /// A model of 24 MB, so that its weights are most of what it takes.
    private func synthesize(_ directory: TemporaryDirectory) throws -> ModelFile {
        let configuration = ModelConfiguration(
            vocabSize: 300, dimModel: 256, numHeads: 4, dimHead: 64, dimFF: 640,
            layers: Array(repeating: .init(hasAttention: true, hasFeedForward: true), count: 32),
            positionBiasNumBuckets: 32, positionBiasMaxDistance: 128, promptTypes: 3, promptLength: 4, segmentTypes: 3)
        var options = SynthesisOptions()
        options.calls.synchronize = { _ in 0 }
        let path = directory.path("model.leaf")
        _ = try Synthesizer(name: "test", configuration, output: path, options: options).run()
        return try ModelFile(path: path)
    }

    /// The path of a copy of a model with fewer bits.
    private func copy(of file: ModelFile, in directory: TemporaryDirectory) throws -> String {
        let path = directory.path("copy.leaf")
        var requantization = RequantizationOptions()
        requantization.weights = .q4
        _ = try Requantizer(model: file.leaf.path, output: path, options: requantization).run()
        return path
    }

    private func options(_ drafts: DraftOptions) -> ModelOptions {
        var options = ModelOptions(threads: 2, capacity: Demand(context: 60))
        options.drafts = drafts
        return options
    }

    /// On the machine that the division assumes, it is never slower than no drafts, and keeps to the budget.
    @Test(arguments: [nil, 20_000_000] as [Int?]) func theDivisionIsTheFastestByPrediction(rate: Int?) throws {
        let directory = try TemporaryDirectory()
        let file = try synthesize(directory)
        var options = try options(DraftOptions(named: copy(of: file, in: directory)))
        options.reading.maxBytesPerSecond = rate
        let rates = MachineRates.assumed(threads: 2, options.reading)
        let outlook = try Outlook(file, options, promptRows: 40, rates)
        let (least, most) = (outlook.smallest.plan.budget, outlook.fastest.plan.budget)
        var lent: Set<Int> = []
        for budget in stride(from: least, through: most, by: max(1, (most - least) / 40)) {
            let forecast = try outlook.forecast(budget: budget)
            let speculation = try #require(forecast.speculation)
            let off = try #require(forecast.off).secondsPerToken
            #expect(forecast.plan.total <= budget)
            #expect(speculation.secondsPerToken <= off * 1.000_001, "\(budget)")
            #expect(!speculation.isOff || speculation.lentBlocks == 0 && speculation.draftBytes == 0)
            lent.insert(speculation.lentBlocks)
            for count in [1, 5, 9] where count < speculation.lentBlocks {
                var other = options
                other.drafts.lentBlocks = count
                let slower = try Outlook.forecast(budget, file, other, 40, rates)
                #expect(speculation.secondsPerToken <= slower.secondsPerToken * 1.25, "\(budget), \(count)")
            }
        }
        if rate != nil { #expect(lent.count > 1, "\(lent)") }
    }

    /// Between a budget with which nothing drafts and the one that it names nothing does.
    @Test(arguments: [nil, 20_000_000] as [Int?], [0.1, 0.8])
    func theBudgetThatIsNamedIsTheSmallestWithWhichItDrafts(rate: Int?, acceptance: Double) throws {
        let directory = try TemporaryDirectory()
        let file = try synthesize(directory)
        var options = try options(DraftOptions(named: copy(of: file, in: directory)))
        options.reading.maxBytesPerSecond = rate
        options.drafts.expectedAcceptance = acceptance
        let rates = MachineRates.assumed(threads: 2, options.reading)
        let outlook = try Outlook(file, options, promptRows: 40, rates)
        let range = (outlook.smallest.plan.budget >> 20) + 1...(outlook.fastest.plan.budget >> 20) + 2
        var (refusals, waiting): (Set<String>, [Int]) = ([], [])
        for budget in range {
            let mode = try #require(outlook.forecast(budget: budget << 20).speculation).mode
            if let refusal = mode.wholeMatch(of: /off: (.*); it drafts with ([0-9]+) MiB/) {
                refusals.insert(String(refusal.output.1.prefix(6)))
                waiting.append(try #require(Int(refusal.output.2)))
            } else {
                #expect(mode == options.drafts.path)
                #expect(waiting.allSatisfy { $0 == budget }, "\(waiting) before \(budget)")
                waiting = []
            }
        }
        #expect(waiting.isEmpty)
        #expect(refusals == ["no roo", "beside", "the me"])
    }

    @Test func aForecastSaysWhereItsShareOfRightGuessesComesFrom() throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        let draft = try copy(of: file, in: directory)
        func acceptance(_ name: String, given: Double? = nil) throws -> DraftAcceptance {
            var options = try options(DraftOptions(named: name))
            options.drafts.expectedAcceptance = given
            let rates = MachineRates.assumed(threads: 2, options.reading)
            return try #require(Outlook.forecast(1 << 30, file, options, 40, rates).speculation).acceptance
        }
        #expect(try acceptance(draft) == .assumed(0.8))
        #expect(try acceptance(file.leaf.path) == .assumed(0.6))
        #expect(try acceptance("ngram") == .assumed(0.1))
        try KeptAcceptance.update(beside: draft) { kept in
            guard let draft = try? ModelFile(path: draft) else { return }
            kept.add(of: draft, for: file, trees: 100, levels: 400, drafts: 800, accepted: 100)
        }
        guard case .kept(let chance, 800, let path) = try acceptance(draft) else {
            Issue.record("nothing was kept")
            return
        }
        #expect(path == draft + ".acceptance" && chance < 0.8)
        #expect(try acceptance(draft, given: 0.7) == .given(0.7))
    }

    @Test func draftsTakeNoMemoryFromWhoHasTooLittle() throws {
        let directory = try TemporaryDirectory()
        let file = try convert(directory)
        var options = ModelOptions(threads: 2, capacity: .init(context: 120))
        let least = try Model.plan(file, options).minimum
        options.memory = .bytes(least)
        options.drafts = DraftOptions(.model(try ModelFile(path: file.leaf.path)))
        let model = try Model(file, options)
        #expect(model.speculation.mode.hasPrefix("off: no room for"))
        #expect(model.plan.minimum == least)
    }
}

extension DraftOptions {
    fileprivate var path: String? { if case .model(let draft) = source { draft.leaf.path } else { nil } }
}
