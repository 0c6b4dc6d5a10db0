import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import Leafcutter
import Testing

@Suite("Golden cached steps") struct GoldenCacheTests {
    struct Cache: Decodable {
        struct Case: Decodable {
            let id: String
            let inputIds: [[Int32]]
            let lengths: [Int]
            let continuation: [[Int32]]
            let stepLogits: [[[JSONFloat]]]
        }
        let cases: [Case]
    }

    @Test(arguments: ["ant-tiny-a", "ant-tiny-b", "ant-tiny-c", "ant-tiny-pruned"])
    func everyStepAgrees(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open(model, form: "cpm-live", weights: .float32, in: directory)
        for testCase in try Golden.decode(Cache.self, "models/\(model)/golden/cache.json").cases {
            for (row, length) in testCase.lengths.enumerated() {
                let prompt = Array(testCase.inputIds[row].suffix(length))
                let steps = try Fixture.steps(opened, prompt, testCase.continuation[row])
                #expect(steps.count == testCase.stepLogits[row].count)
                for (mine, golden) in zip(steps, testCase.stepLogits[row]) {
                    #expect(largestDifference(mine, golden.map(\.value)) < logitTolerance, "\(testCase.id) \(row)")
                }
            }
        }
    }

    /// A step sees what a full pass sees whose generated tokens are not context.
    @Test(arguments: [
        ("ant-tiny-a", KVPrecision.f16), ("ant-tiny-c", .f16), ("ant-tiny-c", .f32), ("ant-tiny-pruned", .f16),
    ])
    func int8StepsEqualThePrefixPassBitForBit(model: String, kv: KVPrecision) throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open(model, form: "cpm-live", weights: .int8, in: directory, kv: kv)
        let configuration = opened.file.configuration
        let testCase = try #require(try Golden.decode(Cache.self, "models/\(model)/golden/cache.json").cases.first)
        let prompt = Array(testCase.inputIds[0].suffix(testCase.lengths[0]))
        let continuation = testCase.continuation[0]
        let steps = try Fixture.steps(opened, prompt, continuation)
        let whole = try opened.engine.perform { model throws(LeafError) in
            let sequence = model.cache.makeSequence()
            defer { model.cache.remove(sequence) }
            let rows = try PromptRows(ids: prompt, task: 2, segment: 2, for: configuration)
            var batch = RowBatch(rows: rows.rows(of: sequence, in: configuration) { $0 == prompt.count - 1 })
            for (step, token) in continuation.enumerated() {
                batch.rows.append(rows.row(of: sequence, generated: token, step: step, in: configuration))
            }
            var logits: [[Float]] = []
            try model.forward(batch) { _, row throws(LeafError) in logits.append(Array(row)) }
            return logits
        }
        #expect(steps == whole)
    }
}
