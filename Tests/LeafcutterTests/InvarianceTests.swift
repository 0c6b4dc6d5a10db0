import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// With int8 weights nothing but the input decides the bits.
@Suite("The same bits everywhere") struct InvarianceTests {
    /// One way to run a model.
    struct Run: CustomTestStringConvertible, Sendable {
        var instructionSet = InstructionSet.best
        var threads = 2
        var io = IOMode.auto
        /// Nil for the smallest that the plan allows.
        var memory: MemoryBudget? = .gibibytes(1)

        var testDescription: String {
            "\(instructionSet) \(threads) threads \(io) \(memory.map { "\($0)" } ?? "smallest budget")"
        }
    }

    static let runs: [Run] =
        InstructionSet.available.flatMap { set in [1, 2, 3].map { Run(instructionSet: set, threads: $0) } }
        + [IOMode.map, .direct, .buffered].flatMap { io in
            [Run(io: io, memory: nil), Run(io: io), Run(threads: 1, io: io, memory: nil)]
        }

    static let cases = [
        LogitsCase(id: "one", inputIDs: [6]),
        LogitsCase(id: "some", inputIDs: [6, 20, 30, 40, 11, 199, 77, 4, 5, 100, 101]),
        LogitsCase(id: "many", inputIDs: (0..<70).map { Int32(6 + $0 * 37 % 190) }, task: 1, segment: 1),
    ]

    @Test(arguments: ["ant-tiny-a", "ant-tiny-c", "ant-tiny-pruned"], ActivationPrecision.allCases)
    func logitsAreBitEqual(model: String, activations: ActivationPrecision) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert(model, form: "cpm-live", weights: .int8, to: path)
        let file = try ModelFile(path: path)
        var reference: [[[Float]]]?
        for run in Self.runs {
            var options = ModelOptions(
                memory: run.memory ?? .gibibytes(1), threads: run.threads, reading: .init(mode: run.io),
                activations: activations,
                instructionSet: run.instructionSet, capacity: .init(context: 120, logitRows: 120))
            if run.memory == nil { options.memory = .bytes(try Model.plan(file, options).minimum) }
            let opened = try Model(file, options)
            let logits = try Fixture.logits(opened, Self.cases)
            if let reference {
                #expect(logits == reference, "\(run.testDescription)")
            } else {
                reference = logits
            }
        }
    }

    static let lowBitCases: [(model: String, weights: WeightFormat)] =
        [WeightFormat.q4, .q3].flatMap { weights in
            ["ant-tiny-a", "ant-tiny-c", "ant-tiny-pruned"].map { ($0, weights) }
        }

    /// A low-bit file is an int8 file by definition.
    @Test(arguments: lowBitCases, ActivationPrecision.allCases)
    func lowBitLogitsAreThoseOfTheInt8Expansion(
        of: (model: String, weights: WeightFormat), activations: ActivationPrecision
    ) throws {
        let directory = try TemporaryDirectory()
        let (low, expanded) = (directory.path("low.leaf"), directory.path("int8.leaf"))
        try Fixture.convert(of.model, form: "cpm-live", weights: of.weights, to: low)
        var requantization = RequantizationOptions()
        requantization.weights = .int8
        _ = try Requantizer(model: low, output: expanded, options: requantization).run()
        func logits(_ path: String, _ run: Run) throws -> [[[Float]]] {
            let file = try ModelFile(path: path)
            var options = ModelOptions(
                memory: run.memory ?? .gibibytes(1), threads: run.threads, reading: .init(mode: run.io),
                activations: activations, instructionSet: run.instructionSet,
                capacity: .init(context: 120, logitRows: 120))
            if run.memory == nil { options.memory = .bytes(try Model.plan(file, options).minimum) }
            return try Fixture.logits(Model(file, options), Self.cases)
        }
        let reference = try logits(expanded, Run())
        for run in Self.runs {
            #expect(try logits(low, run) == reference, "\(run.testDescription)")
        }
    }

    /// Rows of other sequences on the same sweep change nothing.
    @Test(arguments: [WeightFormat.int8, .q4, .q3]) func companyChangesNoBit(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open("ant-tiny-c", form: "cpm-live", weights: weights, in: directory)
        let configuration = opened.file.configuration
        var random = SystemRandomNumberGenerator()
        let prompts: [[Int32]] = (0..<5).map { _ in
            [6] + (0..<Int.random(in: 1...12, using: &random)).map { _ in Int32.random(in: 8..<300, using: &random) }
        }
        let alone = try prompts.map { prompt in
            try Fixture.logits(opened, [LogitsCase(id: "", inputIDs: prompt)])[0]
        }
        let together = try opened.engine.perform { model throws(LeafError) in
            var batch = RowBatch()
            var sequences: [SequenceID] = []
            for prompt in prompts {
                let sequence = model.cache.makeSequence()
                sequences.append(sequence)
                let rows = try PromptRows(ids: prompt, task: 2, segment: 2, for: configuration)
                batch.rows += rows.rows(of: sequence, in: configuration) { _ in true }
            }
            defer { for sequence in sequences { model.cache.remove(sequence) } }
            var logits: [[Float]] = []
            try model.forward(batch) { _, row throws(LeafError) in logits.append(Array(row)) }
            return logits
        }
        #expect(together == alone.flatMap { $0 }, "prompts \(prompts)")
    }

    /// A model opened twice, used in between, gives the same bits again.
    @Test func earlierRequestsLeaveNoTrace() throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open("ant-tiny-a", form: "cpm-live", weights: .int8, in: directory)
        let first = try Fixture.logits(opened, Self.cases)
        _ = try opened.generate(.ids([6, 99, 98]), GenerationOptions(maxTokens: 30, seed: 3))
        #expect(try Fixture.logits(opened, Self.cases) == first)
    }
}
