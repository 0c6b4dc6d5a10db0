import Foundation
import GoldenSupport
import LeafExecutor
import LeafGeneration
import Testing

@Suite struct GumbelNoiseTests {
    private func workspace(_ logits: [Float]) throws -> SamplingWorkspace {
        var workspace = try SamplingWorkspace(vocabSize: logits.count, kernels: Kernels(.best))
        try workspace.load(logits.span)
        return workspace
    }

    /// The id with the largest sum, by every token's noise.
    private func plainDraw(_ logits: [Float], _ noise: GumbelNoise, step: Int) -> Int {
        let sums = logits.indices.map { Double(logits[$0]) + noise.noise(of: $0, step: step) }
        return sums.indices.reduce(0) { sums[$1] > sums[$0] ? $1 : $0 }
    }

    private func indexOfLargest(_ logits: [Float]) -> Int {
        logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
    }

    @Test func aNoiseIsTheDoubleLogarithmOfItsWord() {
        var largestError = 0.0
        for seed in [0, 1, UInt64.max] {
            let (noise, random) = (GumbelNoise(seed: seed, sample: 3), Philox(seed: seed))
            for id in 0..<40_000 {
                let words = random.words((5, 3, UInt32(id / 4), 0))
                let word = [words.0, words.1, words.2, words.3][id % 4]
                let expected = -log(-log((Double(word) + 0.5) / 4_294_967_296))
                largestError = max(largestError, abs(noise.noise(of: id, step: 5) - expected))
            }
        }
        #expect(largestError < 8e-15)
    }

    /// The C library's logarithm is right to less than one unit in the last place.
    @Test func logarithmsOfWordsAreRight() {
        var generator = SeededGenerator(seed: 71)
        let edges = (0..<1000 as Range<UInt32>).flatMap { [$0, ~$0, 1 << 31 + $0, 1 << 31 - $0, 3_037_000_499 + $0] }
        let others = (0..<100_000).map { _ in UInt32.random(in: 0 ... .max, using: &generator) }
        for word in edges + others {
            let number = (Double(word) + 0.5) * 0x1p-32
            #expect(abs(naturalLogarithm(number) - log(number)) <= 3 * log(number).ulp, "\(word)")
        }
    }

    @Test func seedSampleStepAndTokenEachChangeTheNoise() {
        func noise(seed: UInt64 = 1, sample: Int = 0, step: Int = 0, id: Int = 0) -> Double {
            GumbelNoise(seed: seed, sample: sample).noise(of: id, step: step)
        }
        let all = [
            noise(), noise(seed: 2), noise(seed: 1 << 32 | 1), noise(sample: 1), noise(step: 1), noise(id: 1),
            noise(id: 4), noise(sample: 1, step: 1), noise(step: 1, id: 4),
        ]
        #expect(Set(all).count == all.count)
        #expect(noise(seed: 9, sample: 2, step: 7, id: 30) == noise(seed: 9, sample: 2, step: 7, id: 30))
    }

    @Test func passingOverTokensChangesNoDraw() throws {
        var generator = SeededGenerator(seed: 72)
        for round in 0..<3000 {
            let count = round < 2900 ? Int.random(in: 1...70, using: &generator) : 30_720
            let spreads = [0, 0.1, 1, 5, 40, 1e6, 1e30]
            let spread = spreads[Int.random(in: spreads.indices, using: &generator)]
            var logits = (0..<count).map { _ in Float(Double.random(in: -1...1, using: &generator) * spread) }
            if round % 3 == 0 {
                for _ in 0..<count / 2 { logits[Int.random(in: 0..<count, using: &generator)] = -.infinity }
            }
            let best = indexOfLargest(logits)
            if logits[best] == -.infinity { logits[best] = 0 }
            let noise = GumbelNoise(seed: UInt64(round), sample: round % 5)
            let drawn = try workspace(logits).draw(noise, step: round, best: best)
            #expect(Int(drawn) == plainDraw(logits, noise, step: round), "round \(round)")
        }
    }

    /// At these sizes a sum does not show its noise.
    @Test func ofEqualSumsTheSmallerIDWins() throws {
        let logits: [Float] = [-0x1p60, 0x1p60, 0, 0x1p60, 0x1p60]
        for best in [1, 3, 4] {
            #expect(try workspace(logits).draw(GumbelNoise(seed: 1, sample: 0), step: 0, best: best) == 1)
        }
    }

    @Test(arguments: [
        GumbelCase(temperature: 1), GumbelCase(temperature: 0.5), GumbelCase(temperature: 1.7, topK: 7),
        GumbelCase(temperature: 0.9, topP: 0.8), GumbelCase(temperature: 1.3, minP: 0.1),
        GumbelCase(temperature: 2, topP: 0.95, topK: 12, minP: 0.02),
    ])
    func tokensAreDistributedAsTheSoftmaxOfTheFilteredLogits(_ filters: GumbelCase) throws {
        var generator = SeededGenerator(seed: 73)
        let logits = (0..<24).map { _ in Float.random(in: -2...2, using: &generator) }
        let options = GenerationOptions(
            temperature: filters.temperature, topP: filters.topP, topK: filters.topK, minP: filters.minP,
            allowEmpty: true,
            eosID: 24)
        var workspace = try SamplingWorkspace(vocabSize: logits.count, kernels: Kernels(.best))
        let draws = 20_000
        var counts = [Int](repeating: 0, count: logits.count)
        for draw in 0..<draws {
            // Seeds, samples and steps are equally good.
            let history = [Int32](repeating: 0, count: draw % 3)
            var decoder = SequenceDecoder(options, seed: UInt64(draw / 6), sample: draw % 6, continuing: history)
            counts[Int(try #require(try decoder.accept(logits.span, workspace: &workspace)).id)] += 1
        }
        // The decoder has left the filtered logits.
        let kept = workspace.currentLogits
        let weights = kept.map { exp(Double($0)) }
        let total = weights.reduce(0, +)
        var (chiSquare, bins) = (0.0, 0)
        for (count, weight) in zip(counts, weights) {
            if weight == 0 {
                #expect(count == 0)
                continue
            }
            let expected = weight / total * Double(draws)
            chiSquare += (Double(count) - expected) * (Double(count) - expected) / expected
            bins += 1
        }
        #expect(bins > 1)
        // Five standard deviations above the mean; the seeds are fixed.
        let freedom = Double(bins - 1)
        #expect(chiSquare < freedom + 5 * (2 * freedom).squareRoot(), "\(chiSquare) with \(freedom) degrees of freedom")
    }

    @Test func theDrawDependsOnTheNumberOfTokensBeforeAndNotOnWhichTheyAre() throws {
        let logits = [Float](repeating: 0, count: 50)
        let options = GenerationOptions(temperature: 1, topP: 0, eosID: 50)
        var workspace = try SamplingWorkspace(vocabSize: 50, kernels: Kernels(.best))
        var drawn: Set<Int32> = []
        for count in 1..<20 {
            let ids = try ([3, 40] as [Int32]).map { earlier in
                var decoder = SequenceDecoder(
                    options, seed: 8, continuing: [earlier] + [Int32](repeating: 1, count: count - 1))
                return try decoder.accept(logits.span, workspace: &workspace)?.id
            }
            #expect(ids[0] == ids[1])
            if let id = ids[0] { drawn.insert(id) }
        }
        #expect(drawn.count > 5)
    }

    @Test func tokensFarBelowChangeNothing() throws {
        var generator = SeededGenerator(seed: 74)
        for step in 0..<500 {
            let noise = GumbelNoise(seed: 5, sample: 0)
            let likely = (0..<20).map { _ in Float.random(in: 30...34, using: &generator) }
            let rows = (0..<2).map { _ in
                likely + (0..<80).map { _ in Float.random(in: -9...0, using: &generator) }
            }
            let best = indexOfLargest(likely)
            let drawn = try rows.map { try workspace($0).draw(noise, step: step, best: best) }
            #expect(drawn[0] == drawn[1] && drawn[0] < 20)
        }
    }

    /// Shared noise gives two models the same token with a probability of at least (1 - d) / (1 + d), where d is the
    /// distance in variation of what they give.
    @Test func aModelThatIsNearlyTheSameMostlyDrawsTheSameToken() throws {
        var generator = SeededGenerator(seed: 75)
        let (rounds, count) = (4000, 30)
        var (agreed, bound) = (0, 0.0)
        for step in 0..<rounds {
            let first = (0..<count).map { _ in Float.random(in: -3...3, using: &generator) }
            let second = first.map { $0 + Float.random(in: -0.5...0.5, using: &generator) }
            let noise = GumbelNoise(seed: 6, sample: 1)
            let drawn = try [first, second].map {
                try workspace($0).draw(noise, step: step, best: indexOfLargest($0))
            }
            if drawn[0] == drawn[1] { agreed += 1 }
            let shares = [first, second].map { row in
                let weights = row.map { exp(Double($0)) }
                return weights.map { $0 / weights.reduce(0, +) }
            }
            let distance = zip(shares[0], shares[1]).reduce(0) { $0 + abs($1.0 - $1.1) } / 2
            bound += (1 - distance) / (1 + distance)
        }
        // Less than four standard deviations below what may be expected.
        #expect(Double(agreed) > bound - 4 * (Double(rounds) / 4).squareRoot())
        #expect(agreed < rounds)
    }
}

struct GumbelCase: Sendable {
    var temperature: Float
    var topP: Float = 0
    var topK = 0
    var minP: Float = 0
}
