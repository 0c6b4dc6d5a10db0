import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// A head with the token table's rows in another order gives the same logits in that order.
@Suite("A head of its own") struct OwnHeadTests {
    private static let vocabSize = 300
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func row(of id: Int) -> Int { (id * 7 + 3) % Self.vocabSize }

    /// The small model's folder with such a head.
    private func checkpoint() throws -> URL {
        let source = Golden.model("ant-tiny-c/hf")
        let folder = directory.url.appending(path: "checkpoint")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let bytes = try Data(contentsOf: source.appending(path: "model.safetensors"))
        let count = Int(bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        let json = try JSONSerialization.jsonObject(with: bytes[8..<8 + count])
        var header = try #require(json as? [String: [String: Any]])
        var numbers = Data(bytes[(8 + count)...])
        let offsets = try #require(header["cpmant.input_embedding.weight"]?["data_offsets"] as? [Int])
        let shape = try #require(header["cpmant.input_embedding.weight"]?["shape"] as? [Int])
        let rowBytes = (offsets[1] - offsets[0]) / shape[0]
        let begin = numbers.count
        for id in 0..<Self.vocabSize {
            numbers.append(numbers[offsets[0] + row(of: id) * rowBytes..<offsets[0] + (row(of: id) + 1) * rowBytes])
        }
        header["lm_head.weight"] = [
            "dtype": "F32", "shape": [Self.vocabSize, shape[1]], "data_offsets": [begin, numbers.count],
        ]
        let text = try JSONSerialization.data(withJSONObject: header)
        let size = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
        try (size + text + numbers).write(to: folder.appending(path: "model.safetensors"))
        try FileManager.default.copyItem(
            at: source.appending(path: "config.json"), to: folder.appending(path: "config.json"))
        return folder
    }

    private func logits(_ path: String, _ memory: MemoryBudget, _ mode: IOMode) throws -> [[Float]] {
        let file = try ModelFile(path: path)
        var options = ModelOptions(
            memory: .bytes(.max), threads: 2, reading: .init(mode: mode),
            capacity: .init(context: 64, logitRows: 8))
        let minimum = try Model.plan(file, options).minimum
        options.memory = memory == .automatic ? .bytes(minimum) : memory
        let model = try Model(file, options)
        return try Fixture.logits(model, [LogitsCase(id: "a", inputIDs: [6, 20, 30, 41])])[0]
    }

    @Test(arguments: [WeightFormat.int8, .float16, .float32])
    func itsRowsDecideTheLogits(weights: WeightFormat) throws {
        let paths = (directory.path("tied.leaf"), directory.path("own.leaf"))
        try Fixture.convert("ant-tiny-c", form: "hf", weights: weights, to: paths.0)
        try Fixture.convert(checkpoint(), weights: weights, to: paths.1)
        let tied = try logits(paths.0, .gibibytes(1), .buffered)
        for mode in [IOMode.direct, .buffered, .map] {
            for memory in [MemoryBudget.gibibytes(1), .automatic] {
                let own = try logits(paths.1, memory, mode)
                #expect(own.count == tied.count)
                for (own, tied) in zip(own, tied) {
                    for id in 0..<Self.vocabSize {
                        let expected = tied[row(of: id)]
                        #expect(weights == .int8 ? own[id] == expected : abs(own[id] - expected) < logitTolerance)
                    }
                }
            }
        }
    }

    private struct Computed: Decodable {
        struct Case: Decodable {
            let id: String
            let inputIds: [Int32]
            let logits: [Float]
            let newIds: [Int32]
        }
        let cases: [Case]
    }

    /// As transformers 5.24 saved the model, and what it computed.
    @Test func logitsAreThoseOfTheTrainersOwn() throws {
        let path = directory.path("own.leaf")
        try Fixture.convert("ant-tiny-head", form: "hf", weights: .float32, to: path)
        let model = try Model(
            ModelFile(path: path),
            ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 64, logitRows: 16)))
        for testCase in try Golden.decode(Computed.self, "models/ant-tiny-head/golden.json").cases {
            let text = LogitsCase(id: testCase.id, inputIDs: testCase.inputIds)
            let last = try #require(Fixture.logits(model, [text])[0].last)
            #expect(largestDifference(last, testCase.logits) < logitTolerance, "\(testCase.id)")
            #expect(argmax(last) == Int(testCase.newIds[0]), "\(testCase.id)")
        }
    }
}
