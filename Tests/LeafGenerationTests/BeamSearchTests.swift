import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import Testing

/// Against the definitions, on rows of logits that depend on the tokens before them; golden cases are elsewhere.
@Suite struct BeamSearchTests {
    private static let vocabSize = 12

    private func logits(after ids: [Int32]) -> [Float] {
        var generator = SeededGenerator(seed: ids.reduce(17) { $0 &* 31 &+ UInt64($1) })
        return (0..<Self.vocabSize).map { _ in Float.random(in: -3...3, using: &generator) }
    }

    private func logProbabilities(after ids: [Int32], banned: Set<Int32>) -> [Double] {
        let row = logits(after: ids).enumerated().map { banned.contains(Int32($0)) ? -.infinity : Double($1) }
        let logOfSum = log(row.reduce(0) { $0 + exp($1) })
        return row.map { $0 - logOfSum }
    }

    private func run(_ options: GenerationOptions, width: Int) throws -> BeamSearch {
        var workspace = try SamplingWorkspace(vocabSize: Self.vocabSize, kernels: Kernels(.best))
        var search = BeamSearch(options, width: width, prompt: [], stream: nil)
        while !search.isFinished {
            for beam in 0..<search.beamCount {
                let row = logits(after: Array(search.history(ofBeam: beam).generated))
                try search.accept(row.span, ofBeam: beam, workspace: &workspace)
            }
            _ = try search.advance()
        }
        return search
    }

    /// With more beams than texts nothing is pruned: the best of all texts comes first.
    @Test(arguments: [Compatibility.cpmLive, .transformers])
    func wideSearchFindsTheBestText(compatibility: Compatibility) throws {
        let isLive = compatibility == .cpmLive
        var best = (ids: [Int32](), score: -Double.infinity)
        func visit(_ ids: [Int32], _ sum: Double) {
            // CPM-Live's last iteration has one token in the sum more than in the text.
            let isLast = ids.count == 2
            let row = logProbabilities(after: ids, banned: isLive && ids.isEmpty ? [7, 4] : [])
            for (id, logProbability) in row.enumerated() where logProbability > -.infinity {
                let total = sum + logProbability
                let isEnd = id == 7
                if isLive {
                    if isEnd || isLast {
                        let score = total / Double(max(1, ids.count))
                        if score > best.score { best = (ids, score) }
                    } else {
                        visit(ids + [Int32(id)], total)
                    }
                } else {
                    let length = ids.count + 1
                    if isEnd || length == 2 {
                        let score = total / Double(length)
                        if score > best.score { best = (isEnd ? ids : ids + [Int32(id)], score) }
                    } else {
                        visit(ids + [Int32(id)], total)
                    }
                }
            }
        }
        visit([], 0)
        // One token asked of CPM-Live gives two, and three iterations.
        let options = GenerationOptions(
            decoding: .beams(200), maxTokens: isLive ? 1 : 2, compatibility: compatibility)
        let result = try #require(try run(options, width: 200).results(1).first)
        #expect(result.ids == best.ids)
        #expect(abs(result.score - best.score) < 1e-6)
    }

    @Test func oneBeamIsGreedyUntilTheLastStep() throws {
        let options = GenerationOptions(decoding: .beams(1), maxTokens: 9, eosID: 0)
        let result = try #require(try run(options, width: 1).results(1).first)
        var ids: [Int32] = []
        while ids.count < 10 {
            let row = logProbabilities(after: ids, banned: ids.isEmpty ? [0, 4] : [])
            let id = row.indices.max { row[$0] < row[$1] } ?? 0
            if id == 0 { break }
            ids.append(Int32(id))
        }
        #expect(result.ids == ids)
    }

    @Test func resultsFallAndDifferInNumberOnlyByWhatIsAskedFor() throws {
        let options = GenerationOptions(decoding: .beams(5), maxTokens: 8)
        let search = try run(options, width: 5)
        let scores = search.results(5).map(\.score)
        #expect(scores == scores.sorted(by: >))
        #expect(search.results(2).map(\.ids) == search.results(5).prefix(2).map(\.ids))
    }

    @Test func earlyStoppingEndsWithAsManyTextsAsBeams() throws {
        var options = GenerationOptions(
            decoding: .beams(2), maxTokens: 500, logitBias: [7: 2], compatibility: .transformers)
        options.earlyStopping = true
        let search = try run(options, width: 2)
        #expect(search.length < 500)
        #expect(search.results(2).map(\.finishReason) == [.stop, .stop])
    }

    @Test func everyTokenForbiddenIsAnError() throws {
        var workspace = try SamplingWorkspace(vocabSize: 8, kernels: Kernels(.best))
        var search = BeamSearch(GenerationOptions(decoding: .beams(2)), width: 2, prompt: [], stream: nil)
        let row = [Float](repeating: -.infinity, count: 7) + [1]
        #expect(throws: LeafError.self) {
            try search.accept(row.span, ofBeam: 0, workspace: &workspace)
            _ = try search.advance()
        }
    }
}
