import Foundation
import GoldenSupport
import LeafExecutor
import LeafGeneration
import LeafStream
import LeafSystem
import LeafTokenizer
import Leafcutter
import Testing

/// What trees of drafts are forecast to give, beside what trees give.
@Suite("Odds of drafts") struct DraftOddsTests {
    @Test func aChainGivesTheSumOfPowers() {
        for chance in [0, 0.3, 0.8, 1] {
            let odds = DraftOdds(acceptance: chance, width: 1, count: 12)
            for drafts in 0...12 {
                let sum = (1...12).prefix(drafts).reduce(1) { $0 + pow(chance, Double($1)) }
                #expect(abs(odds.tokens(drafts: drafts) - sum) < 1e-9)
                #expect(odds.passes(drafts: drafts) == Array(repeating: 1, count: drafts))
            }
        }
    }

    /// Guesses of a model that looks behind four nodes of each level, as the numbers of the guesses along their paths:
    /// the most probable ones of all that it has found.
    private func tree(_ chances: [Double], nodes: Int) -> Set<[Int]> {
        func chance(_ path: [Int]) -> Double { path.reduce(1) { $0 * chances[$1] } }
        var (found, level): ([[Int]], [[Int]]) = ([], [[]])
        for _ in 0..<nodes {
            level = level.flatMap { path in chances.indices.map { path + [$0] } }
            level = Array(level.sorted { chance($0) > chance($1) })
            found += level
            level = Array(level.prefix(4))
        }
        return Set(found.sorted { chance($0) > chance($1) }.prefix(nodes))
    }

    @Test(arguments: [0.3, 0.55, 0.8, 0.95]) func treesGiveWhatTreesOfDrawnTextsGive(chance: Double) {
        var random = SeededGenerator(seed: 7)
        let chances = (0..<4).reduce(into: [Double]()) { chances, rank in
            chances.append(rank == 0 ? chance : (1 - chances.reduce(0, +)) * DraftOdds.shareOfNext)
        }
        let odds = DraftOdds(acceptance: chance, width: 4, count: 32)
        for nodes in [1, 5, 16, 32] {
            let tree = tree(chances, nodes: nodes)
            var tokens = 0
            let rounds = 40_000
            for _ in 0..<rounds {
                var path: [Int] = []
                repeat {
                    tokens += 1
                    var left = Double.random(in: 0..<1, using: &random)
                    let guess = chances.firstIndex { probability in
                        left -= probability
                        return left < 0
                    }
                    // What nobody guesses is in no tree.
                    path.append(guess ?? -1)
                } while tree.contains(path)
            }
            let forecast = odds.tokens(drafts: nodes)
            #expect(abs(Double(tokens) / Double(rounds) - forecast) < 0.02 * forecast, "\(nodes) nodes")
            #expect(forecast >= DraftOdds(acceptance: chance, width: 1, count: 32).tokens(drafts: nodes) - 1e-9)
            // The levels are those of the tree, and the last one is looked behind as well.
            let passes = odds.passes(drafts: nodes)
            let depth = tree.map(\.count).max() ?? 0
            #expect(passes.count == min(nodes, depth + 1) && passes.allSatisfy { (1...4).contains($0) })
        }
    }

    @Test func theChanceIsFoundThatGivesSoManyRightOnes() {
        for chance in [0.2, 0.5, 0.9] {
            for (nodes, areChains) in [(3, true), (16, true), (3, false), (16, false), (32, false)] {
                let odds = DraftOdds(acceptance: chance, width: areChains ? 1 : 4, count: nodes)
                let right = 100_000 * (odds.tokens(drafts: nodes) - 1)
                let found = KeptAcceptance.acceptance(
                    trees: 100_000, drafts: 100_000 * nodes, accepted: Int(right), areChains: areChains)
                #expect(abs(found - chance) < 0.001, "\(chance), \(nodes)")
            }
        }
    }

    /// What is kept of trees of eight foretells those of sixteen, on a machine that is forced to draft.
    @Test func treesOfTheDemonstrationModelGiveWhatIsForecast() throws {
        let folder = try TemporaryDirectory()
        let (path, draft) = (folder.path("demo.leaf"), folder.path("draft.leaf"))
        try Fixture.convert(Golden.demoModel, weights: .int8, to: path)
        try Fixture.convert(Golden.repository.appending(path: "Examples/demo-draft"), weights: .int8, to: draft)
        let file = try ModelFile(path: path)
        let texts = try ["《将进酒》李白\n", "《长恨歌》白居易\n", "今天天气真好，"].map {
            [Tokenizer.bosID] + (try #require(file.tokenizer).encode($0))
        }
        let benchmark = Benchmark(generatedTokens: 80, repeats: 1)
        func options(_ count: Int) throws -> ModelOptions {
            var options = ModelOptions(memory: .bytes(64 << 20), threads: 2)
            options.capacity = try benchmark.capacity(writingAfter: texts[1], file)
            options.drafts = try DraftOptions(named: draft, fixedCount: count)
            return options
        }
        func tokensPerSweep(_ count: Int) throws -> Double {
            let model = try Model(file, try options(count))
            let written = try texts.map { try model.write(benchmark, after: $0) { _ in } }
            try model.keepAcceptance()
            return Double(written.reduce(0) { $0 + $1.tokens }) / Double(written.reduce(0) { $0 + $1.sweeps })
        }
        func forecast(_ count: Int) throws -> Double {
            let options = try options(count)
            let rates = MachineRates.assumed(threads: 2, options.reading)
            let forecast = try Outlook.forecast(64 << 20, file, options, 40, rates)
            return try #require(forecast.speculation).tokensPerSweep
        }
        let eight = try tokensPerSweep(8)
        #expect(abs(try forecast(8) / eight - 1) < 0.15, "\(eight)")
        let expected = try forecast(16)
        let sixteen = try tokensPerSweep(16)
        #expect(abs(expected / sixteen - 1) < 0.15, "\(expected), \(sixteen)")
        #expect(sixteen > eight)
    }
}
