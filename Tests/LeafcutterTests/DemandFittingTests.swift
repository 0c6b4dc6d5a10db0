import Foundation
import GoldenSupport
import LeafExecutor
import LeafGeneration
import LeafImport
import LeafSystem
import Leafcutter
import Testing

/// How many texts of many requests share a sweep.
@Suite struct DemandFittingTests {
    private let folder: TemporaryDirectory
    private let file: ModelFile

    init() throws {
        folder = try TemporaryDirectory()
        file = try Fixture.demo(in: folder)
    }

    /// The demands of requests of many lengths and widths.
    private func demands(_ random: inout SeededGenerator) throws -> [Demand] {
        let longest = Int.random(in: 1...400, using: &random)
        return try (0..<Int.random(in: 1...30, using: &random)).map { _ in
            let options = GenerationOptions(maxTokens: .random(in: 1...longest, using: &random))
            return GenerationRequest(
                prompt: try file.rows(of: .ids([6]), options), options: options,
                samples: .random(in: 1...4, using: &random)
            ).demand(in: file.configuration)
        }
    }

    private func options(_ budget: Int) -> ModelOptions {
        ModelOptions(memory: .bytes(budget), threads: 2, callerBytes: 3 << 20)
    }

    @Test func textsNeverFallAsTheBudgetGrows() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<8 {
            let demands = try demands(&random)
            let sequences = Int.random(in: 1...20, using: &random)
            let each = Int.random(in: 0...1 << 20, using: &random)
            var before = 0
            for budget in (0..<100).map({ _ in Int.random(in: 40 << 20...140 << 20, using: &random) }).sorted() {
                var opened = options(budget)
                do throws(LeafError) {
                    try opened.makeRoom(for: demands, sequences: sequences, bytesEach: each, in: file)
                } catch {
                    #expect(error.kind == .budget && before == 0, "\(error), seed \(seed)")
                    continue
                }
                #expect(opened.capacity.sequences >= before, "\(budget) bytes, seed \(seed)")
                #expect(try Model.plan(file, opened).total <= budget)
                before = opened.capacity.sequences
            }
            #expect(before > 0)
        }
    }

    /// More texts come first, and what was enough beside fewer texts is not.
    @Test func theBudgetThatIsNamedForDraftsHasRoomForThem() throws {
        let copy = folder.path("copy.leaf")
        var requantization = RequantizationOptions()
        requantization.weights = .q4
        _ = try Requantizer(model: file.leaf.path, output: copy, options: requantization).run()
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for drafts in [DraftOptions(.ngrams, fixedCount: 3), try DraftOptions(named: copy, fixedCount: 3)] {
            let demands = try demands(&random)
            func missed(_ budget: Int) throws -> String? {
                var opened = options(budget)
                try opened.makeRoom(for: demands, sequences: 9, bytesEach: 100_000, in: file)
                opened.drafts = drafts
                return try Model(file, opened).missedDrafts
            }
            var least = options(1)
            let refusal = #expect(throws: LeafError.self) { try least.makeRoom(for: demands, sequences: 9, in: file) }
            guard case .memory(let smallest)? = refusal?.advice else { continue }
            for budget in stride(from: smallest + 1 << 20, to: smallest + 40 << 20, by: 5 << 20) {
                guard let sentence = try missed(budget) else { continue }
                let advice = /; for .+ it drafts with ([0-9]+) MiB$/
                let named = try #require(sentence.firstMatch(of: advice), "\(sentence)")
                let enough = try #require(Int(named.output.1)) << 20
                #expect(enough > budget)
                #expect(try missed(enough) == nil, "\(enough >> 20) MiB, seed \(seed)")
            }
        }
    }
}
