import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import LeafTokenizer
import Testing

@Suite("conversion") struct ConverterTests {
    /// Largest relative error of `W / sqrt(columns)` computed in two ways in float32.
    static let foldingTolerance: Float = 2e-7

    @Test(arguments: Forms.all, WeightFormat.allCases)
    func everyFormConverts(form: String, weights: WeightFormat) throws {
        let conversion = try Conversion(Forms.path(form), weights)
        let shape = ModelShape(conversion.file.configuration, weights: weights)
        #expect(conversion.result.bytes == conversion.file.fileBytes)
        #expect(conversion.result.parameters == shape.parameterCount)
        #expect(conversion.file.weights == weights)
        try conversion.file.verify()
    }

    @Test func formsOfOneModelGiveTheSameBytes() throws {
        let expected = try Conversion(Forms.path("ant-tiny-a/hf")).data()
        for form in ["hf-bin", "hf-head", "hf-sharded", "hf-sharded-head"] {
            #expect(try Conversion(Forms.path("ant-tiny-a/\(form)")).data() == expected, "\(form)")
        }
        let sharded = try Conversion(Forms.path("ant-tiny-c/hf-safetensors-sharded")).data()
        #expect(try Conversion(Forms.path("ant-tiny-c/hf")).data() == sharded)
    }

    @Test func bothScalingsGiveTheSameBytesWhereTheyHoldTheSameNumbers() throws {
        // All fan-ins of this model are powers of four.
        let folded = try Conversion(Forms.path("ant-tiny-b/hf")).data()
        #expect(try Conversion(Forms.path("ant-tiny-b/hf-bin")).data() == folded)
        #expect(try Conversion(Forms.path("ant-tiny-b/cpm-live/ant-tiny-b.pt")).data() == folded)
    }

    @Test(arguments: ["a", "c"]) func bothScalingsMeanTheSameWeights(model: String) throws {
        let folded = try Conversion(Forms.path("ant-tiny-\(model)/hf"), .float32)
        let live = try Conversion(Forms.path("ant-tiny-\(model)/cpm-live/ant-tiny-\(model).pt"), .float32)
        #expect(folded.file.configuration.isScaleFolded && !live.file.configuration.isScaleFolded)
        for matrix in folded.file.matrices {
            let pairs = zip(try folded.matrix(matrix.name), try live.matrix(matrix.name))
            #expect(pairs.allSatisfy { ($0 - $1).magnitude <= $0.magnitude * Self.foldingTolerance }, "\(matrix.name)")
        }
        for name in [TensorName.segmentEmbedding, TensorName.positionBias, TensorName.outputNorm] {
            let pairs = zip(try folded.rows.resident(name), try live.rows.resident(name))
            #expect(pairs.allSatisfy { ($0 - $1).magnitude <= $0.magnitude * Self.foldingTolerance }, "\(name)")
        }
        let prompts = zip(try folded.rows.promptRows(), try live.rows.promptRows())
        #expect(prompts.allSatisfy { ($0 - $1).magnitude <= $0.magnitude * Self.foldingTolerance })
    }

    @Test(arguments: ["a", "c"]) func float32HoldsTheSourcesNumbers(model: String) throws {
        let form = "ant-tiny-\(model)/hf"
        let conversion = try Conversion(Forms.path(form), .float32)
        let truth = try Truth(Forms.path(form) + "/model.safetensors", conversion.file.configuration)
        for matrix in conversion.file.matrices {
            #expect(try conversion.matrix(matrix.name) == truth.floats(matrix.name), "\(matrix.name)")
        }
        let shape = ModelShape(truth.configuration, weights: .float32)
        for tensor in shape.file.tensors where tensor.name != TensorName.promptEmbedding {
            #expect(try conversion.rows.resident(tensor.name) == truth.floats(tensor.name), "\(tensor.name)")
        }
        #expect(try conversion.rows.promptRows() == truth.floats(TensorName.promptEmbedding))
    }

    @Test(arguments: ["a", "c"]) func float16RoundsToNearest(model: String) throws {
        let form = "ant-tiny-\(model)/hf"
        let conversion = try Conversion(Forms.path(form), .float16)
        let truth = try Truth(Forms.path(form) + "/model.safetensors", conversion.file.configuration)
        for matrix in conversion.file.matrices {
            let expected = truth.floats(matrix.name).map { Float(Float16($0)) }
            #expect(try conversion.matrix(matrix.name) == expected, "\(matrix.name)")
        }
    }

    @Test(arguments: ["a", "c"]) func int8IsRoundedHalfToEvenByRow(model: String) throws {
        let form = "ant-tiny-\(model)/hf"
        let conversion = try Conversion(Forms.path(form))
        let truth = try Truth(Forms.path(form) + "/model.safetensors", conversion.file.configuration)
        for matrix in conversion.file.matrices {
            let source = truth.floats(matrix.name)
            let values = try conversion.quantized(matrix.name)
            let scales = try conversion.rows.resident(FileShape.scaleName(of: matrix.name))
            #expect(scales.count == matrix.storedOutputs)
            for row in 0..<matrix.storedOutputs {
                guard row < matrix.outputs else {
                    #expect(scales[row] == 0 && values[row].allSatisfy { $0 == 0 })
                    continue
                }
                let weights = source[row * matrix.columns..<(row + 1) * matrix.columns]
                let scale = weights.map(\.magnitude).max()! / 127
                let expected = weights.map { Int8(min(max(($0 / scale).rounded(.toNearestOrEven), -127), 127)) }
                #expect(scales[row] == scale)
                #expect(Array(values[row][0..<matrix.columns]) == expected)
                #expect(values[row][matrix.columns...].allSatisfy { $0 == 0 })
            }
        }
    }

    @Test func theHeaderTellsWhereItCameFrom() throws {
        let file = try Conversion(Forms.path("ant-tiny-pruned/cpm-live/ant-tiny-pruned.pt")).file
        #expect(file.metadata["source.form"] == "cpm-live")
        #expect(file.metadata["source.container"] == "torch")
        #expect(file.metadata["source"]?.contains("ant-tiny-pruned.pt") == true)
        #expect(file.metadata["source.digest"]?.count == 16)
        #expect(file.configuration.layers.map(\.hasAttention) == [true, true, false, true])
        #expect(file.configuration.layers.map(\.hasFeedForward) == [true, false, true, true])
        #expect(file.blocks.count == 7)
    }

    @Test func theSameSourceGivesTheSameFile() throws {
        let first = try Conversion(Forms.path("ant-tiny-c/hf"))
        let second = try Conversion(Forms.path("ant-tiny-c/hf")) { $0.threads = 1 }
        #expect(
            try Data(contentsOf: URL(filePath: first.file.path)) == Data(contentsOf: URL(filePath: second.file.path)))
    }

    @Test func aVocabularyOfTheRightSizeIsBundled() throws {
        let demo = try Conversion(Golden.demoModel.path)
        let tokenizer = try #require(try demo.file.readTokenizer())
        #expect(tokenizer.vocabulary == Tokenizer.bundledVocabulary)
        #expect(tokenizer.dictionary == Tokenizer.bundledSegmenterData)
        #expect(demo.result.warnings.isEmpty)

        let tiny = try Conversion(Forms.path("ant-tiny-a/hf"))
        #expect(try tiny.file.readTokenizer() == nil)
        #expect(tiny.result.warnings.count == 1)
    }

    @Test func aVocabularyMustFitTheModel() throws {
        let directory = try TemporaryDirectory()
        let lines = (0..<512).map { "token\($0)" }
        try lines.joined(separator: "\n").write(toFile: directory.path("v"), atomically: true, encoding: .utf8)
        let right = try Conversion(Forms.path("ant-tiny-a/hf")) { $0.vocabularyPath = directory.path("v") }
        #expect(try right.file.readTokenizer()?.vocabulary == Array(lines.joined(separator: "\n").utf8))
        try lines.dropLast().joined(separator: "\n").write(
            toFile: directory.path("v"), atomically: true, encoding: .utf8)
        let error = failure {
            _ = try Conversion(Forms.path("ant-tiny-a/hf")) { $0.vocabularyPath = directory.path("v") }
        }
        #expect(error?.description.contains("511 tokens, the model 512") == true)
    }

    @Test(arguments: ["token7\t7\n", "token\t-7.25\r\n", "a b\t1e3\n", "\u{2581}x\t0\n"])
    func aVocabularyWithNumbersBehindTabsIsRefused(line: String) throws {
        let directory = try TemporaryDirectory()
        try Array(String(repeating: line, count: 512).utf8).write(to: directory.path("v"))
        let error = failure {
            _ = try Conversion(Forms.path("ant-tiny-a/hf")) { $0.vocabularyPath = directory.path("v") }
        }
        #expect(error?.kind == .badInput)
        #expect(error?.description.contains("a number behind a tab") == true, "\(error?.description ?? "accepted")")
    }

    /// A token may be a number, and hold a tab.
    @Test(arguments: ["7\n", "\t7\n", "a\tb\n", "7\t\n", "a\t\n"])
    func otherVocabulariesWithNumbersOrTabsAreTaken(line: String) throws {
        let directory = try TemporaryDirectory()
        try Array(String(repeating: line, count: 512).utf8).write(to: directory.path("v"))
        _ = try Conversion(Forms.path("ant-tiny-a/hf")) { $0.vocabularyPath = directory.path("v") }
    }

    @Test func anExistingFileIsNotReplacedUnlessForced() throws {
        let directory = try TemporaryDirectory()
        try Data([1]).write(to: URL(filePath: directory.path("model.leaf")))
        let converter = Converter(source: Forms.path("ant-tiny-c/hf"), output: directory.path("model.leaf"))
        #expect(failure { _ = try converter.run() }?.kind == .usage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["model.leaf"])
        var options = ConversionOptions()
        options.replacesExisting = true
        _ = try Converter(source: Forms.path("ant-tiny-c/hf"), output: directory.path("model.leaf"), options: options)
            .run()
        _ = try LeafFile.open(path: directory.path("model.leaf"))
    }

    @Test func aBudgetThatIsTooSmallIsRefused() {
        let error = failure { _ = try Conversion(Forms.path("ant-tiny-a/hf")) { $0.memoryBudget = 1 << 20 } }
        #expect(error?.kind == .budget)
    }

    @Test(.enabled(if: Python.has("safetensors", "numpy"), "Python has no safetensors"))
    func safetensorsForPythonOpensTheFile() throws {
        let conversion = try Conversion(Forms.path("ant-tiny-c/hf"))
        let output = try #require(
            Python.run(
                """
                import sys
                from safetensors import safe_open
                with safe_open(sys.argv[1], "np") as f:
                    print(f.metadata()["format"], len(f.keys()), f.get_tensor("encoder.output_layernorm.weight").shape[0])
                """, [conversion.file.path]))
        #expect(output == "leafcutter \(conversion.file.tensors.count) 48\n")
    }
}
