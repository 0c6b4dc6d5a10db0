import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafImport
import LeafStream
import Leafcutter
import Testing

/// `Tests/Golden/compressed`: what BMCook leaves of a model, and CPM-Ant+, by `Scripts/make-compressed-fixtures.py`.
@Suite("Compressed models and CPM-Ant+") struct CompressedTests {
    /// Of int8 weights' logits, which torch rounds the same and sums in double precision.
    private static let int8Tolerance: Float = 1e-3

    private static func path(_ name: String) -> String { Golden.root.appending(path: "compressed/\(name)").path }

    private static func golden(_ name: String) throws -> [Float] {
        try #require(try PlainSafetensors(URL(filePath: path("logits.safetensors"))).floats(name))
    }

    private static func ids() throws -> [Int32] { try Golden.decode([Int32].self, "compressed/ids.json") }

    private static func convert(
        _ name: String, _ weights: WeightFormat, masks: String? = nil, vocabulary: String? = nil,
        in directory: TemporaryDirectory
    ) throws -> ModelFile {
        var options = ConversionOptions()
        options.weights = weights
        options.masksPath = masks.map(path)
        options.vocabularyPath = vocabulary.map(path)
        let target = directory.path("\(name).leaf")
        _ = try Converter(source: path("\(name).pt"), output: target, options: options).run()
        return try ModelFile(path: target)
    }

    private static func logits(_ file: ModelFile, _ ids: [Int32], _ options: ModelOptions? = nil) throws -> [Float] {
        let usual = ModelOptions(
            memory: .gibibytes(1), threads: 2, kv: .f32, capacity: .init(context: 64, logitRows: 64))
        let model = try Model(file, options ?? usual)
        return try Fixture.logits(model, [LogitsCase(id: "", inputIDs: ids)])[0].flatMap { $0 }
    }

    @Test(arguments: [WeightFormat.float32, .float16, .int8])
    func aPrunedModelsLogitsAreThoseOfTorch(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let file = try Self.convert("pruned", weights, masks: "masks.pt", in: directory)
        let isInt8 = weights == .int8
        let mine = try Self.logits(file, Self.ids())
        let difference = largestDifference(mine, try Self.golden(isInt8 ? "pruned.int8" : "pruned"))
        #expect(difference < (isInt8 ? Self.int8Tolerance : logitTolerance), "\(difference)")
    }

    /// What BMCook wrote of the same model before March 2023.
    @Test func theOlderFormMeansTheSame() throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.copyItem(atPath: Self.path("pruned.pt"), toPath: directory.path("early.pt"))
        for name in ["early.json", "early.pt.cnofig.json"] {
            try FileManager.default.copyItem(atPath: Self.path(name), toPath: directory.path(name))
        }
        var options = ConversionOptions()
        options.masksPath = Self.path("early-masks.pt")
        let target = directory.path("early.leaf")
        _ = try Converter(source: directory.path("early.pt"), output: target, options: options).run()
        let later = try Self.convert("pruned", .int8, masks: "masks.pt", in: directory)
        let early = try ModelFile(path: target)
        #expect(early.configuration == later.configuration)
        #expect(try Self.logits(early, Self.ids()) == Self.logits(later, Self.ids()))
    }

    @Test(arguments: ActivationPrecision.allCases) func aPrunedModelsBitsAreTheSameEverywhere(
        activations: ActivationPrecision
    ) throws {
        let directory = try TemporaryDirectory()
        let file = try Self.convert("pruned", .int8, masks: "masks.pt", in: directory)
        let ids = try Self.ids()
        var reference: [Float]?
        for run in InvarianceTests.runs {
            var options = ModelOptions(
                memory: run.memory ?? .gibibytes(1), threads: run.threads, reading: .init(mode: run.io),
                activations: activations,
                instructionSet: run.instructionSet, capacity: .init(context: 64, logitRows: 64))
            if run.memory == nil { options.memory = .bytes(try Model.plan(file, options).minimum) }
            let mine = try Self.logits(file, ids, options)
            #expect(mine == reference ?? mine, "\(run.testDescription)")
            reference = mine
        }
    }

    /// Keys and values of layers with different heads lie in the same pages.
    @Test func aPrunedModelsStepsEqualOnePass() throws {
        let directory = try TemporaryDirectory()
        let file = try Self.convert("pruned", .int8, masks: "masks.pt", in: directory)
        let model = try Model(
            file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64, logitRows: 64)))
        let ids = (0..<40).map { Int32(6 + $0 * 37 % 110) }
        let steps = try Fixture.steps(model, Array(ids[..<22]), Array(ids[22...]))
        let length = file.configuration.promptLength
        let context = (0..<length + 40).map { $0 < length + 22 ? 1 : 0 }
        let pass = try Fixture.logits(
            model,
            [
                LogitsCase(
                    id: "", input: (0..<length).map { Int32(2 * length + $0) } + ids, length: 40, context: context,
                    segment: (0..<length + 40).map { $0 < length ? 0 : 2 },
                    span: [Int32](repeating: 0, count: length + 40))
            ])[0]
        #expect(Array(pass.suffix(steps.count)) == steps)
    }

    @Test(arguments: [WeightFormat.float32, .float16]) func aSparseModelRunsAsADenseOne(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let file = try Self.convert("sparse", weights, in: directory)
        let difference = largestDifference(try Self.logits(file, Self.ids()), try Self.golden("sparse"))
        #expect(difference < logitTolerance, "\(difference)")
    }

    // MARK: CPM-Ant+

    struct PlusCases: Decodable {
        struct Generation: Decodable {
            let prompt: String
            let ids: [Int32]
        }
        let generation: Generation
    }

    @Test func antPlusGeneratesTheReferencesIDs() throws {
        let directory = try TemporaryDirectory()
        let file = try Self.convert("plus", .float32, vocabulary: "plus.txt", in: directory)
        let tokenizer = try file.requireTokenizer()
        #expect(file.leaf.tensor(LeafMetadata.dictionaryTensor) == nil && tokenizer.segmenter == nil)

        let golden = try Golden.decode(PlusCases.self, "compressed/plus-cases.json").generation
        let prompt = [6] + tokenizer.encode(golden.prompt).filter { $0 != 1 }
        let difference = largestDifference(try Self.logits(file, prompt), try Self.golden("plus"))
        #expect(difference < logitTolerance, "\(difference)")

        let model = try Model(
            file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64)))
        let options = GenerationOptions(decoding: .greedy, maxTokens: 12, repetitionPenalty: 3)
        let sample = try model.generate(.text(golden.prompt), options).samples[0]
        #expect(sample.ids == golden.ids)
        #expect(sample.text == (try tokenizer.decode(golden.ids)))
    }
}
