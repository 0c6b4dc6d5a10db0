import CLeafKernels
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import Synchronization
import Testing

@Suite("Demand") struct DemandTests {
    private static let extremes = [Int.min, -1, 0, 1, 3, 1 << 40, Int.max]

    private func demand(_ number: Int) -> Demand {
        Demand(
            pages: number, sequences: number, longest: number, firstRows: number, stepRows: number, logitRows: number,
            heapBytes: number)
    }

    @Test func sumsAndProductsOfAnythingAreNumbers() {
        for a in Self.extremes {
            for b in Self.extremes {
                let sum = demand(a) + demand(b)
                let (exact, overflow) = a.addingReportingOverflow(b)
                let expected = overflow ? (a > 0 ? Int.max : Int.min) : exact
                #expect(sum.pages == expected)
                #expect(sum.longest == max(a, b))
                let product = demand(a) * b
                let times = b <= 0 ? 0 : a *| b
                #expect(product.sequences == times)
            }
        }
        let found = [
            3 *| 5, Int.max *| -2, Int.min *| -1, -7 *| Int.max, Int.min -| 1, Int.max -| -1, 5 -| 7, Int.max +| 1,
        ]
        #expect(found == [15, .min, .max, .min, .min, .max, -2, .max])
    }

    @Test func unitsHoldWhatIsAskedOfThem() {
        for (count, units) in [(-5, 0), (0, 0), (1, 1), (16, 1), (17, 2), (Int.max, Int.max / 16 + 1)] {
            #expect(count.units(of: 16) == units)
        }
    }

    @Test func manyAtATimeNeedAsMuchAsTheirSum() {
        let one = Demand(pages: 3, sequences: 2, longest: 40, firstRows: 30, stepRows: 2, logitRows: 2, heapBytes: 7)
        #expect(one + one + one == one * 3)
        #expect(Demand.nothing + one == one && one * 0 == .nothing)
    }
}

@Suite("Kernels of sampling") struct SamplingKernelTests {
    /// Whoever forces kernels because others are suspect gets them here too; and the same choices.
    @Test(arguments: InstructionSet.available) func theWorkspaceHasTheKernelsThatWereAskedFor(set: InstructionSet)
        throws
    {
        var workspace = try SamplingWorkspace(vocabSize: 1000, kernels: Kernels(set))
        var random = SeededGenerator(seed: 5)
        let row = (0..<1000).map { _ in Float.random(in: -9...9, using: &random) }
        var best = try SamplingWorkspace(vocabSize: 1000, kernels: Kernels(.best))
        try workspace.load(row.span)
        try best.load(row.span)
        #expect(workspace.currentProbabilities() == best.currentProbabilities())
        var decoder = SequenceDecoder(GenerationOptions(topP: 0.8, minP: 0.01), seed: 1)
        var other = decoder
        let drawn = try decoder.accept(row.span, workspace: &workspace)
        #expect(try other.accept(row.span, workspace: &best) == drawn)
    }

    /// All sets give the same bits, so only a count tells whose functions ran.
    @Test func probabilitiesAreComputedByTheKernelsThatWereAskedFor() throws {
        var floats = SamplingCalls.best.floats
        floats.softmax = { row, count in
            SamplingCalls.softmax.wrappingAdd(1, ordering: .relaxed)
            SamplingCalls.best.floats.softmax(row, count)
        }
        var workspace = try SamplingWorkspace(
            vocabSize: 5,
            kernels: Kernels(floats: floats, products: SamplingCalls.best.products))
        let logits: [Float] = [1, -2, 3, 0.5, 0]
        try workspace.load(logits.span)
        #expect(workspace.currentProbabilities().count == 5)
        #expect(SamplingCalls.softmax.load(ordering: .relaxed) == 1)
        MinP(0.1).process(&workspace, after: TokenHistory())
        #expect(SamplingCalls.softmax.load(ordering: .relaxed) == 2)
    }

    @Test func sizesOfNoVocabularyAreRefused() {
        for (vocabSize, more) in [(0, 0), (-1, 0), (.max, 0), (.max, .max), (10, -1), (.min, .max)] {
            #expect(throws: LeafError.self) {
                _ = try SamplingWorkspace(vocabSize: vocabSize, softPromptRows: more, kernels: Kernels(.best))
            }
        }
    }
}

/// How often a C function without a context was called.
private enum SamplingCalls {
    static let best = Kernels(.best)
    static let softmax = Atomic(0)
}
