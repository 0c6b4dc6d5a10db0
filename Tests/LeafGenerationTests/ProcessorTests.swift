import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import Testing

/// The logits and their softmax after some processors.
func processed(
    _ logits: [Float], _ processors: [any LogitsProcessor], after generated: [Int32] = []
) throws -> (logits: [Float], probabilities: [Float]) {
    var workspace = try SamplingWorkspace(vocabSize: logits.count, kernels: Kernels(.best))
    try workspace.load(logits.span)
    for processor in processors { processor.process(&workspace, after: TokenHistory(generated: generated)) }
    return (workspace.currentLogits, workspace.currentProbabilities())
}

func kept(_ logits: [Float]) -> [Int] {
    logits.indices.filter { logits[$0] > -.infinity }
}

@Suite struct ProcessorTests {
    /// float32 sums in another order than the reference's.
    private static let probabilityTolerance: Float = 1e-6
    /// Where a sum of probabilities falls on top-p itself, rounding decides.
    private static let smallestMargin = 1e-6

    @Test func filtersKeepWhatTheReferenceKeeps() throws {
        let recorded = try RecordedSampling.load()
        var compared = 0
        for filter in recorded.filters where filter.topPMargin ?? 1 >= Self.smallestMargin {
            let logits = try #require(recorded.logitVectors[filter.logits]).map(\.value)
            let options = GenerationOptions(
                temperature: filter.temperature, topP: filter.topP, topK: filter.topK, allowEmpty: true)
            let (left, probabilities) = try processed(logits, options.processors)
            #expect(kept(left) == filter.liveKept, "\(filter)")
            for (id, expected) in zip(filter.liveKept, filter.liveProbabilitiesOfKept) {
                #expect(abs(probabilities[id] - expected) <= Self.probabilityTolerance, "\(filter) id \(id)")
            }
            compared += 1
        }
        #expect(compared == 77)
    }

    @Test func penaltyEqualsTheReference() throws {
        let recorded = try RecordedSampling.load()
        #expect(recorded.repetitionPenalty.count == 6)
        for penalty in recorded.repetitionPenalty {
            let generated = Array(penalty.previousIds.dropFirst(penalty.liveStartIndex ?? 0))
            let rule = RepetitionPenalty(penalty.penalty, window: penalty.liveWindow)
            let left = try processed(recorded.penaltyLogits, [rule], after: generated).logits
            for (got, expected) in zip(left, penalty.liveResult) {
                #expect(abs(got - expected) <= expected.ulp, "\(penalty)")
            }
        }
    }

    @Test func penaltyLeavesForbiddenTokensForbidden() throws {
        let left = try processed([-.infinity, 2], [RepetitionPenalty(2, window: nil)], after: [0, 1, 1]).logits
        #expect(left == [-.infinity, 1])
    }

    @Test func endAndLineBreakAreForbiddenAtFirstOnly() throws {
        let logits: [Float] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
        let rule = FirstTokenBan(eosID: 7)
        #expect(kept(try processed(logits, [rule]).logits) == [0, 1, 2, 3, 5, 6, 8])
        #expect(try processed(logits, [rule], after: [3]).logits == logits)
        #expect(GenerationOptions(allowEmpty: true).processors.contains { $0 is FirstTokenBan } == false)
        #expect(kept(try processed([1, 2], [rule]).logits) == [0, 1])
    }

    @Test func topKKeepsTheLargestAndItsEquals() throws {
        var generator = SeededGenerator(seed: 31)
        for _ in 0..<200 {
            let logits = (0..<Int.random(in: 1...70, using: &generator)).map { _ in
                Bool.random(using: &generator)
                    ? Float(Int.random(in: -3...3, using: &generator)) : Float.random(in: -9...9, using: &generator)
            }
            let count = Int.random(in: 1...80, using: &generator)
            let threshold = logits.sorted(by: >)[min(count, logits.count) - 1]
            #expect(
                kept(try processed(logits, [TopK(count)]).logits) == logits.indices.filter { logits[$0] >= threshold })
        }
    }

    @Test func topPKeepsTheSmallestPrefixThatExceedsTheMass() throws {
        var generator = SeededGenerator(seed: 32)
        for _ in 0..<200 {
            let logits = (0..<Int.random(in: 1...70, using: &generator)).map { _ in
                Float.random(in: -4...4, using: &generator)
            }
            let mass = Float.random(in: 0.01...0.99, using: &generator)
            let probabilities = try processed(logits, []).probabilities
            let order = logits.indices.sorted { (probabilities[$1], $0) < (probabilities[$0], $1) }
            var expected: [Int] = []
            var sum = 0.0
            for id in order where sum <= Double(mass) {
                expected.append(id)
                sum += Double(probabilities[id])
            }
            #expect(kept(try processed(logits, [TopP(mass)]).logits) == expected.sorted())
        }
    }

    @Test func minPDropsWhatIsFarBelowTheBest() throws {
        let left = try processed([0, -1, -2, -3, -4], [MinP(0.1)])
        #expect(kept(left.logits) == [0, 1, 2])
        #expect(kept(try processed([5, 5, 4.99], [MinP(1)]).logits) == [0, 1])
    }

    @Test func countPenaltiesAreTakenOffForEachTimeAndOnce() throws {
        let left = try processed(
            [5, 5, 5, -5], [CountPenalty(frequency: 0.5, presence: 2)], after: [1, 3, 1, 1]
        ).logits
        #expect(left == [5, 1.5, 5, -7.5])
        #expect(try processed([1, 1], [CountPenalty(frequency: -1, presence: 0)], after: [0, 0]).logits == [3, 1])
    }

    @Test func noRunOfTokensComesTwice() throws {
        var generator = SeededGenerator(seed: 33)
        for length in 1...4 {
            for _ in 0..<100 {
                let history = (0..<Int.random(in: 0...20, using: &generator)).map { _ in
                    Int32.random(in: 0..<4, using: &generator)
                }
                func runs(_ ids: [Int32]) -> [[Int32]] {
                    ids.count < length ? [] : (0...ids.count - length).map { Array(ids[$0..<$0 + length]) }
                }
                let left = kept(try processed([1, 1, 1, 1], [NgramBan(length)], after: history).logits)
                let allowed = (0..<4).filter { id in
                    let last = (history + [Int32(id)]).suffix(length)
                    return !runs(history).contains(Array(last))
                }
                #expect(left == allowed, "\(length) after \(history)")
            }
        }
    }

    @Test func biasesAreAdded() throws {
        #expect(try processed([1, 2, 3], [LogitBias([0: 4, 2: -100, 7: 1])]).logits == [5, 2, -97])
        let banned = try processed(Array(repeating: 0, count: 9), GenerationOptions(logitBias: [7: 50]).processors)
        #expect(banned.logits[7] == -.infinity)
    }

    @Test func transformersCountsThePrompt() throws {
        let history = TokenHistory(prompt: [0, 2], generated: [1])
        var workspace = try SamplingWorkspace(vocabSize: 4, kernels: Kernels(.best))
        try workspace.load(([2, 2, 2, 2] as [Float]).span)
        RepetitionPenalty(2, window: nil).process(&workspace, after: history)
        #expect(workspace.currentLogits == [1, 1, 1, 2])
        #expect(history.generatedCount == 1)
    }

    @Test func logarithmsAreRight() {
        var generator = SeededGenerator(seed: 34)
        for _ in 0..<10_000 {
            let value = Double.random(in: -300...300, using: &generator)
            let number = exp(value)
            let error: Double = abs(naturalLogarithm(number) - log(number))
            #expect(error <= 4 * max(abs(value), 1).ulp)
        }
        for number in [
            1.0, 2, 0.5, .leastNormalMagnitude / 8, .greatestFiniteMagnitude, 1.414_213_562_373_095_1, 1.5, 0.75,
        ] {
            let error: Double = abs(naturalLogarithm(number) - log(number))
            #expect(error <= 4 * max(abs(log(number)), 0.25).ulp, "\(number)")
        }
        #expect(naturalLogarithm(0) == -.infinity)
    }

    @Test func rulesComeInTheReferencesOrder() {
        let all = GenerationOptions(
            temperature: 0.5, topP: 0.5, topK: 5, minP: 0.1, repetitionPenalty: 1.2, frequencyPenalty: 1,
            noRepeatNgram: 3, logitBias: [1: 1])
        let penalties = ["LogitBias", "FirstTokenBan", "RepetitionPenalty", "CountPenalty", "NgramBan"]
        #expect(
            all.processors.map { "\(type(of: $0))" } == penalties + ["Temperature", "TopK", "TopP", "MinP"])
        let off = GenerationOptions(temperature: 1, topP: 0, allowEmpty: true)
        #expect(off.processors.isEmpty)
        var greedy = all
        greedy.decoding = .greedy
        #expect(greedy.processors.map { "\(type(of: $0))" } == penalties)
        #expect(GenerationOptions(temperature: 1, topP: 0, compatibility: .transformers).processors.isEmpty)
    }

    @Test func manyTokensLeaveTheMostLikelyOnes() throws {
        let logits = (0..<30720).map { Float(($0 * 7919) % 30720) * 0.001 }
        let left = kept(try processed(logits, [TopK(100), TopP(0.5)]).logits)
        #expect(left.count < 100)
        #expect(left.allSatisfy { logits[$0] >= 30.62 })
    }

    @Test func damagedLogitsAreRefused() throws {
        for damage in [Float.nan, .infinity] {
            #expect(throws: LeafError.self) { _ = try processed([1, damage, 2], []) }
        }
    }
}
