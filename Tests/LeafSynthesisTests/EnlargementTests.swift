import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSynthesis
import LeafSystem
import Leafcutter
import Testing

@Suite("A large model around a small one") struct EnlargementTests {
    static let attentionOnly = ModelConfiguration.Layer(hasAttention: true, hasFeedForward: false)
    static let feedForwardOnly = ModelConfiguration.Layer(hasAttention: false, hasFeedForward: true)

    struct Pair: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var small = Shapes.small
        var large = Shapes.large
    }

    static let pairs: [Pair] = [
        Pair(testDescription: "4 times as wide"),
        Pair(
            testDescription: "16 times as wide, wide attention, odd feed-forward",
            small: Shapes.configuration(dimModel: 128, heads: 2, dimHead: 64, dimFF: 128, layers: 3),
            large: Shapes.configuration(dimModel: 2048, heads: 5, dimHead: 128, dimFF: 350, layers: 5)),
        Pair(
            testDescription: "as wide, more layers",
            small: Shapes.configuration(dimModel: 384, heads: 3, dimHead: 128, dimFF: 384, layers: 1),
            large: Shapes.configuration(dimModel: 384, heads: 3, dimHead: 128, dimFF: 384, layers: 2)),
        Pair(
            testDescription: "no power of two, and both pruned",
            small: {
                var small = Shapes.configuration(dimModel: 384, heads: 8, dimHead: 48, dimFF: 128, layers: 3)
                small.layers[0] = attentionOnly
                return small
            }(),
            large: {
                var large = Shapes.configuration(dimModel: 1536, heads: 12, dimHead: 64, dimFF: 700, layers: 6)
                large.layers[1] = attentionOnly
                large.layers[3] = feedForwardOnly
                return large
            }()),
    ]

    static let cases = [
        LogitsCase(id: "one", inputIDs: [6]),
        LogitsCase(id: "some", inputIDs: [6, 20, 30, 40, 11, 199, 77, 4, 5, 100, 101], task: 1, segment: 1),
        LogitsCase(id: "many", inputIDs: (0..<70).map { Int32(6 + $0 * 37 % 190) }),
    ]

    static func logits(_ file: LeafFile, _ activations: ActivationPrecision) throws -> [[UInt32]] {
        let model = try Model(
            ModelFile(path: file.path),
            ModelOptions(
                memory: .gibibytes(1), threads: 2, activations: activations,
                capacity: .init(context: 120, logitRows: 120)))
        var rows: [[UInt32]] = []
        try model.logits(of: cases) { _, _, logits throws(LeafError) in rows.append(logits.map(\.bitPattern)) }
        return rows
    }

    @Test(arguments: pairs, ActivationPrecision.allCases)
    func logitsAreBitEqual(pair: Pair, activations: ActivationPrecision) throws {
        let directory = try TemporaryDirectory()
        for (seed, weights) in [(1, WeightFormat.int8), (2, .int8), (3, .q4), (4, .q3)] as [(UInt64, WeightFormat)] {
            let small = try Shapes.make(pair.small, "small\(seed).leaf", in: directory) {
                $0.seed = seed
                $0.weights = weights
            }
            let large = try Shapes.make(pair.large, "large\(seed).leaf", in: directory) {
                $0.seed = seed + 10
                $0.weights = weights
                $0.smallModelPath = small.path
            }
            #expect(large.configuration.dimModel == pair.large.dimModel)
            #expect(large.configuration.dimAttention == pair.large.dimAttention)
            #expect(large.configuration.vocabSize == pair.small.vocabSize)
            #expect(try Self.logits(large, activations) == Self.logits(small, activations), "seed \(seed)")
        }
    }

    /// The demo model, packed chunks and a tokenizer among it: text goes in and the same text comes out.
    @Test func aTrainedModelSaysTheSame() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("demo.leaf")
        _ = try Converter(source: Golden.demoModel.path, output: path).run()
        var shape = try LeafFile.open(path: path).configuration
        shape.dimModel = 1024
        shape.numHeads = 3
        shape.dimHead = 128
        shape.dimFF = 768
        shape.layers.append(.init(hasAttention: true, hasFeedForward: true))
        let large = try Shapes.make(shape, "large.leaf", in: directory) { $0.smallModelPath = path }
        #expect(large.chunks.allSatisfy { $0.codec == .raw })
        let texts = try [path, large.path].map { path in
            let options = ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 128))
            return try Model(ModelFile(path: path), options).generate(
                .text("《登鹳雀楼》王之涣\n"), GenerationOptions(decoding: .greedy, maxTokens: 40)
            ).samples.map(\.text)
        }
        #expect(texts[0] == texts[1])
        #expect(texts[0].first?.contains("黄河入海流") == true)
    }

    /// What is free is random, and no more than the enlargement needs is zero.
    @Test func onlyWhatWouldBringSomethingInIsZero() throws {
        let directory = try TemporaryDirectory()
        let small = try Shapes.make(Shapes.small, "small.leaf", in: directory)
        let large = try Shapes.make(Shapes.large, "large.leaf", in: directory) { $0.smallModelPath = small.path }
        let dimModel = 128
        func zeros(_ row: Int, _ name: String, _ columns: Range<Int>) throws -> Int {
            try Shapes.row(row, of: name, in: large)[columns].count { $0 == 0 }
        }
        for layer in 0..<4 {
            let isTaken = layer < 2
            let attention = TensorName.attentionMatrices(layer: layer)
            let feedForward = TensorName.feedForwardMatrices(layer: layer)
            let widths = [dimModel, dimModel, dimModel, 128, dimModel, dimModel, 256]
            for (name, width) in zip(attention + feedForward, widths) {
                let matrix = large.matrices.first { $0.name == name }!
                let endsInZeros =
                    name == attention[2] || name == feedForward[1]
                    || isTaken && (name == attention[3] || name == feedForward[2])
                let corner = try zeros(matrix.outputs - 1, name, 0..<width)
                #expect(endsInZeros ? corner == width : corner < width / 10)
                #expect(try zeros(matrix.outputs - 1, name, width..<matrix.columns) < matrix.columns / 10)
                guard isTaken else { continue }
                for row in [0, 77, 127] {
                    #expect(
                        try Shapes.row(row, of: name, in: large)[..<width]
                            == Shapes.row(row, of: name, in: small)[..<width])
                    #expect(try zeros(row, name, width..<matrix.columns) < matrix.columns / 10)
                }
                let scales = try Shapes.floats(FileShape.scaleName(of: name), in: small)
                #expect(try Shapes.floats(FileShape.scaleName(of: name), in: large).starts(with: scales))
            }
        }
        for row in [0, 299] {
            #expect(try zeros(row, TensorName.tokenTable, dimModel..<512) == 512 - dimModel)
        }
        let norm = try Shapes.floats(TensorName.outputNorm, in: small)
        #expect(try Shapes.floats(TensorName.outputNorm, in: large).starts(with: norm.map { $0 / 2 }))
        #expect(large.configuration.eps == small.configuration.eps / 4)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let reason: String
        let change: @Sendable (_ small: inout ModelConfiguration, _ large: inout ModelConfiguration) -> Void
        var testDescription: String { reason }
    }

    static let refusals: [Refusal] = [
        Refusal(reason: "dim_model is 64, no multiple of the 128 columns") { small, _ in small.dimModel = 64 },
        Refusal(reason: "num_heads * dim_head is 96, no multiple") { small, _ in small.numHeads = 3 },
        Refusal(reason: "dim_ff is 200, no multiple") { small, _ in small.dimFF = 200 },
        Refusal(reason: "256 is not its dim_model of 128 times a power of 4") { _, large in large.dimModel = 256 },
        Refusal(reason: "384 is not its dim_model of 128 times a power of 4") { _, large in large.dimModel = 384 },
        Refusal(reason: "512 is not its dim_model of 1024 times a power of 4") { small, _ in small.dimModel = 1024 },
        Refusal(reason: "position_bias_num_buckets is 16") { small, _ in small.positionBiasNumBuckets = 16 },
        Refusal(reason: "position_bias_max_distance is 64") { small, _ in small.positionBiasMaxDistance = 64 },
        Refusal(reason: "prompt_types is 2") { small, _ in small.promptTypes = 2 },
        Refusal(reason: "prompt_length is 5") { small, _ in small.promptLength = 5 },
        Refusal(reason: "segment_types is 4") { small, _ in small.segmentTypes = 4 },
        Refusal(reason: "num_heads * dim_head is 640, the large model's only 512") { small, _ in small.numHeads = 20 },
        Refusal(reason: "dim_ff is 640, the large model's only 600") { small, _ in small.dimFF = 640 },
        Refusal(reason: "vocab_size is 400, the large model's only 333") { small, _ in small.vocabSize = 400 },
        Refusal(reason: "heads of 128 do not divide") { small, large in
            (small.numHeads, small.dimHead, large.numHeads) = (1, 128, 7)
        },
        Refusal(reason: "more layers") { _, large in large.layers = Array(large.layers[..<1]) },
        Refusal(reason: "more layers") { _, large in large.layers = Array(repeating: attentionOnly, count: 9) },
        Refusal(reason: "eps of 1e-30 is too small") { small, _ in small.eps = 1e-30 },
    ]

    @Test(arguments: refusals) func whatCannotBeExactIsRefused(refusal: Refusal) throws {
        let directory = try TemporaryDirectory()
        var (small, large) = (Shapes.small, Shapes.large)
        refusal.change(&small, &large)
        let path = try Shapes.make(small, "small.leaf", in: directory).path
        let error = failure {
            try Shapes.make(large, "large.leaf", in: directory) { $0.smallModelPath = path }
        }
        #expect(error?.kind == .usage)
        #expect(error?.description.contains(refusal.reason) == true, "\(error?.description ?? "")")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["small.leaf"])
    }

    @Test(arguments: [(WeightFormat.float16, WeightFormat.int8), (.int8, .float32)])
    func floatWeightsAreRefused(small: WeightFormat, large: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let path = try Shapes.make(Shapes.small, "small.leaf", in: directory) { $0.weights = small }.path
        let error = failure {
            try Shapes.make(Shapes.large, "large.leaf", in: directory) {
                $0.smallModelPath = path
                $0.weights = large
            }
        }
        #expect(error?.kind == .usage)
        #expect(error?.description.contains("int8") == true)
    }

    @Test func aDamagedSmallModelIsNotTakenOver() throws {
        let directory = try TemporaryDirectory()
        let file = try Shapes.make(Shapes.small, "small.leaf", in: directory)
        for offset in [file.tensor(TensorName.outputNorm)!.offset, file.chunks[3].offset] {
            var bytes = try Shapes.bytes(file)
            bytes[offset] ^= 1
            let path = directory.path("damaged.leaf")
            try bytes.write(to: URL(filePath: path))
            let error = failure {
                try Shapes.make(Shapes.large, "large.leaf", in: directory) { $0.smallModelPath = path }
            }
            #expect(error?.kind == .badInput)
            #expect(!FileManager.default.fileExists(atPath: directory.path("large.leaf")))
        }
    }
}
