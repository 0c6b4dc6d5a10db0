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
            vocabSize: 300, dimModel: 512, numHeads: 4, dimHead: 64, dimFF: 1280,
            layers: Array(repeating: .init(hasAttention: true, hasFeedForward: true), count: 10),
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

    /// On the machine that it is made for, it is never slower than no drafts, and keeps to the budget.
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
            #expect(speculation.isOff ? speculation.secondsPerToken == off : speculation.secondsPerToken <= 0.9 * off)
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

    /// What the memory of a copy is worth depends on how fast weights in memory are next to those on disk.
    @Test func aCopyDraftsWhereMemoryIsMuchFasterThanTheDisk() throws {
        let directory = try TemporaryDirectory()
        let file = try synthesize(directory)
        let options = try options(DraftOptions(named: copy(of: file, in: directory)))
        var forecasts: [Bool] = []
        for bytesPerSecond in [0.25e9, 1e9, 4e9, 16e9, 64e9] {
            let kernels = KernelProbe(
                threads: 2, readBytesPerSecond: bytesPerSecond,
                rates: [(1, 1), (4, 0.7), (16, 0.25)].map {
                    KernelProbe.Rate(rows: $0.0, weightBytesPerSecond: bytesPerSecond * $0.1)
                }, bytesPerWeight: 1, joinSeconds: 0, digestBytesPerSecond: 5e9, touchSecondsPerByte: 0.2e-9)
            let rates = MachineRates(kernels: kernels, disk: DiskRate(bytesPerSecond: 1e9))
            let outlook = try Outlook(file, options, promptRows: 40, rates)
            // Room for the copy, and not for all of the model.
            let forecast = try outlook.forecast(budget: outlook.smallest.plan.budget + (16 << 20))
            #expect(try #require(forecast.off).readingSecondsPerToken > 0)
            forecasts.append(try #require(forecast.speculation).isOff)
        }
        #expect(forecasts == forecasts.sorted { $0 && !$1 } && Set(forecasts).count == 2, "\(forecasts)")
    }

    /// A copy saves nothing of the disk there, and each of its guesses takes half as long as a token.
    @Test func whereAllWeightsStayACopyHasToBeRightNearlyAlways() throws {
        let directory = try TemporaryDirectory()
        let file = try synthesize(directory)
        var options = try options(DraftOptions(named: copy(of: file, in: directory)))
        options.memory = .bytes(1 << 30)
        func mode(_ acceptance: Double, fixedCount: Int? = nil) throws -> String {
            (options.drafts.expectedAcceptance, options.drafts.fixedCount) = (acceptance, fixedCount)
            return try Model(file, options).speculation.mode
        }
        #expect(try mode(0.8).hasPrefix("off: all weights are in memory, where "))
        #expect(try mode(1) == options.drafts.path)
        #expect(try mode(0.5, fixedCount: 3) == options.drafts.path, "somebody wants to see it")
    }

    @Test(arguments: [nil, 20_000_000] as [Int?], [0.1, 0.8, 1])
    func withTheMemoryThatARefusalNamesItDrafts(rate: Int?, acceptance: Double) throws {
        let directory = try TemporaryDirectory()
        let file = try synthesize(directory)
        var options = try options(DraftOptions(named: copy(of: file, in: directory)))
        options.reading.maxBytesPerSecond = rate
        options.drafts.expectedAcceptance = acceptance
        let rates = MachineRates.assumed(threads: 2, options.reading)
        let outlook = try Outlook(file, options, promptRows: 40, rates)
        func forecast(_ mebibytes: Int) throws -> SpeculationForecast {
            try #require(outlook.forecast(budget: mebibytes << 20).speculation)
        }
        var budget = (outlook.smallest.plan.budget >> 20) + 1
        var refusals: Set<String> = []
        while budget << 20 < outlook.fastest.plan.budget {
            let speculation = try forecast(budget)
            guard speculation.isOff else {
                budget += 1
                continue
            }
            refusals.insert(String(speculation.mode.prefix(11)))
            let advice = /off: .*; for .+ it drafts with ([0-9]+) MiB/
            guard let words = speculation.mode.wholeMatch(of: advice) else {
                #expect(try forecast(outlook.fastest.plan.budget >> 20).isOff, "no memory is named, and some would do")
                budget += 1
                continue
            }
            let named = try #require(Int(words.output.1))
            let drafting = try forecast(named).mode
            #expect(named > budget && drafting == options.drafts.path)
            budget = named
        }
        #expect(refusals.contains("off: no roo"), "\(refusals)")
        if acceptance < 0.5 { #expect(refusals.contains("off: the me"), "\(refusals)") }
    }

    /// A page of the cache for drafts is memory that weights would have.
    @Test func branchesOfNgramsLengthenNoSweepByMoreThanAFiftieth() throws {
        let directory = try TemporaryDirectory()
        let file = try synthesize(directory)
        func plan(_ source: DraftOptions.Source, _ budget: Int) throws -> MemoryPlan {
            var options = self.options(DraftOptions(source))
            options.memory = .bytes(budget)
            return try Model.plan(file, options)
        }
        let everything = try plan(.ngrams, 1 << 30)
        var seen: Set<Bool> = []
        for budget in stride(from: everything.minimum, through: everything.total, by: everything.total / 64) {
            let (plain, drafted) = (try plan(.none, budget), try plan(.ngrams, budget))
            let hasBranches = drafted.bytes(for: .kv) > plain.bytes(for: .kv)
            let more = drafted.streamedBytesPerSweep - plain.streamedBytesPerSweep
            #expect(!hasBranches || more * 50 <= plain.streamedBytesPerSweep, "\(budget)")
            seen.insert(hasBranches)
        }
        #expect(seen.count == 2, "\(seen)")
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
        // A file that knows other models, and too little of this one, says how much that is.
        try KeptAcceptance.update(beside: draft) {
            $0.add(of: file, for: file, trees: 9, levels: 9, drafts: 9, accepted: 9)
        }
        #expect(try acceptance(draft) == .begun(0.8, guesses: 0, needed: 64, file: draft + ".acceptance"))
        func keep(levels: Int, drafts: Int, accepted: Int) throws {
            let draftFile = try ModelFile(path: draft)
            try KeptAcceptance.update(beside: draft) {
                $0.add(of: draftFile, for: file, trees: 50, levels: levels, drafts: drafts, accepted: accepted)
            }
        }
        try keep(levels: 63, drafts: 100, accepted: 20)
        #expect(try acceptance(draft) == .begun(0.8, guesses: 63, needed: 64, file: draft + ".acceptance"))
        try keep(levels: 337, drafts: 700, accepted: 80)
        guard case .kept(let chance, 400, let path) = try acceptance(draft) else {
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
