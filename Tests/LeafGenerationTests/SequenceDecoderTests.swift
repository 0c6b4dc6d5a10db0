import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import Testing

/// Rows of logits that depend on the tokens before them, in place of a model.
private struct PretendModel {
    let vocabSize: Int

    func logits(after ids: [Int32]) -> [Float] {
        var generator = SeededGenerator(seed: ids.reduce(17) { $0 &* 31 &+ UInt64($1) })
        return (0..<vocabSize).map { _ in Float.random(in: -3...3, using: &generator) }
    }

    func generate(_ options: GenerationOptions, seed: UInt64 = 1, sample: Int = 0) throws -> SequenceDecoder {
        var workspace = try SamplingWorkspace(vocabSize: vocabSize, kernels: Kernels(.best))
        var decoder = SequenceDecoder(options, seed: seed, sample: sample)
        while decoder.finishReason == nil {
            _ = try decoder.accept(logits(after: decoder.ids).span, workspace: &workspace)
        }
        return decoder
    }
}

@Suite struct SequenceDecoderTests {
    private let model = PretendModel(vocabSize: 40)

    private func next(_ logits: [Float], _ options: GenerationOptions, seed: UInt64 = 1) throws -> SequenceDecoder
        .Token?
    {
        var workspace = try SamplingWorkspace(vocabSize: logits.count, kernels: Kernels(.best))
        var decoder = SequenceDecoder(options, seed: seed)
        return try decoder.accept(logits.span, workspace: &workspace)
    }

    @Test func greedyTakesTheLargestAndOfEqualsTheSmallerID() throws {
        #expect(try next([0, 3, 1, 3, 3], .greedy)?.id == 1)
        #expect(try next([-0.0, 0, -1], .greedy)?.id == 0)
    }

    @Test func samplingFollowsTheProbabilities() throws {
        let logits: [Float] = [0, 1, 2, -1, 0.5, 1.5, -2, 0.25]
        let options = GenerationOptions(temperature: 1, topP: 0, allowEmpty: true, eosID: 7)
        var workspace = try SamplingWorkspace(vocabSize: logits.count, kernels: Kernels(.best))
        let draws = 40_000
        var counts = [Int](repeating: 0, count: logits.count)
        for sample in 0..<draws {
            var decoder = SequenceDecoder(options, seed: 5, sample: sample)
            counts[Int(try decoder.accept(logits.span, workspace: &workspace)?.id ?? 7)] += 1
        }
        let weights = logits.map { exp(Double($0)) }
        let total = weights.reduce(0, +)
        let chiSquare = zip(counts, weights).reduce(0.0) { sum, bin in
            let expected = bin.1 / total * Double(draws)
            return sum + (Double(bin.0) - expected) * (Double(bin.0) - expected) / expected
        }
        // 99.9 % of random sequences stay below this with 7 degrees of freedom; the seed is fixed.
        #expect(chiSquare < 24.3)
    }

    @Test func sampledTokensAreAlwaysAmongTheKept() throws {
        let options = GenerationOptions(maxTokens: 300, topP: 0, topK: 3)
        let decoder = try model.generate(options)
        for step in decoder.ids.indices.dropFirst() {
            let row = model.logits(after: Array(decoder.ids[..<step]))
            let threshold = row.sorted(by: >)[2]
            #expect(row[Int(decoder.ids[step])] >= threshold)
        }
    }

    @Test func theSameSeedAndSampleGiveTheSameTextWhateverElseHappens() throws {
        let options = GenerationOptions(maxTokens: 50, topP: 0.95)
        let alone = try model.generate(options, seed: 11, sample: 2)
        // The same sequence among others, which share the workspace and end at other times.
        var workspace = try SamplingWorkspace(vocabSize: model.vocabSize, kernels: Kernels(.best))
        var mates = [7, 2, 0].map { SequenceDecoder(options, seed: 11, sample: $0) }
        while mates.contains(where: { $0.finishReason == nil }) {
            for index in mates.indices.reversed() where mates[index].finishReason == nil {
                let row = model.logits(after: mates[index].ids)
                _ = try mates[index].accept(row.span, workspace: &workspace)
            }
        }
        #expect(mates[1].ids == alone.ids)
        #expect(mates[0].ids != alone.ids)
        #expect(try model.generate(options, seed: 12, sample: 2).ids != alone.ids)
    }

    @Test func aCopyGoesOnAsTheOriginalDoes() throws {
        let options = GenerationOptions(maxTokens: 20, eosID: 39)
        var workspace = try SamplingWorkspace(vocabSize: model.vocabSize, kernels: Kernels(.best))
        var original = SequenceDecoder(options, seed: 4)
        for _ in 0..<5 where original.finishReason == nil {
            _ = try original.accept(model.logits(after: original.ids).span, workspace: &workspace)
        }
        var copy = original
        while original.finishReason == nil {
            _ = try original.accept(model.logits(after: original.ids).span, workspace: &workspace)
        }
        while copy.finishReason == nil {
            _ = try copy.accept(model.logits(after: copy.ids).span, workspace: &workspace)
        }
        #expect(copy.ids == original.ids)
    }

    @Test func theEndTokenStopsAndIsNotPartOfTheText() throws {
        var options = GenerationOptions.greedy
        options.eosID = 2
        var workspace = try SamplingWorkspace(vocabSize: 6, kernels: Kernels(.best))
        var decoder = SequenceDecoder(options, seed: 0)
        // Forbidden as the first token, so the second best comes.
        #expect(try decoder.accept([0, 1, 9, 0, 8, 0].span, workspace: &workspace)?.id == 1)
        #expect(try decoder.accept([0, 1, 9, 0, 8, 0].span, workspace: &workspace) == nil)
        #expect(decoder.ids == [1])
        #expect(decoder.finishReason == .stop)
    }

    @Test func theLengthEndsTheText() throws {
        var options = GenerationOptions.greedy
        options.maxTokens = 3
        options.eosID = 0
        var workspace = try SamplingWorkspace(vocabSize: 3, kernels: Kernels(.best))
        var decoder = SequenceDecoder(options, seed: 0)
        for _ in 0..<3 { _ = try decoder.accept([0, 1, 2].span, workspace: &workspace) }
        #expect(decoder.ids == [2, 2, 2])
        #expect(decoder.finishReason == .length)
    }

    @Test func thePenaltyCountsGeneratedTokens() throws {
        var options = GenerationOptions.greedy
        options.maxTokens = 4
        options.repetitionPenalty = 2
        options.repetitionWindow = 1
        options.eosID = 0
        var workspace = try SamplingWorkspace(vocabSize: 3, kernels: Kernels(.best))
        var decoder = SequenceDecoder(options, seed: 0)
        for _ in 0..<4 { _ = try decoder.accept([0, 3, 4].span, workspace: &workspace) }
        #expect(decoder.ids == [2, 1, 2, 1])
    }

    @Test func logprobsAreThoseOfTheRawLogits() throws {
        let logits: [Float] = [1, 4, 2, 4, 0]
        var options = GenerationOptions(temperature: 0.1, topP: 0.01, logprobs: 3)
        options.allowEmpty = true
        let token = try #require(try next(logits, options))
        let logprobs = try #require(token.logprobs)
        let logOfSum = log(logits.reduce(0) { $0 + exp(Double($1)) })
        #expect(token.id == 1)
        #expect(logprobs.top.map(\.id) == [1, 3, 2])
        for entry in logprobs.top + [logprobs.chosen] {
            #expect(abs(entry.logprob - (Double(logits[Int(entry.id)]) - logOfSum)) < 1e-6)
        }
        #expect(try next(logits, .greedy)?.logprobs == nil)
        options.logprobs = 99
        #expect(try next(logits, options)?.logprobs?.top.count == 5)
    }

    @Test func nothingToChooseFromIsAnError() throws {
        #expect(throws: LeafError.self) { _ = try next([-.infinity, -.infinity], .greedy) }
        #expect(throws: LeafError.self) { _ = try next([-.infinity, 1], GenerationOptions(eosID: 1)) }
    }
}
