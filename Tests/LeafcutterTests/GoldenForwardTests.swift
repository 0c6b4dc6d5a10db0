import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import Leafcutter
import Testing

/// Logits of the tiny models have a standard deviation of about 3.5; the two reference implementations differ by 2e-5.
let logitTolerance: Float = 1e-4

@Suite("Golden forward passes") struct GoldenForwardTests {
    struct Forward: Decodable {
        struct Case: Decodable {
            let id: String
            let inputIds: [[Int32]]
            let lengths: [Int]
            let lastArgmax: [Int]
            let lastLogits: [[JSONFloat]]
        }
        let cases: [Case]
    }

    struct LiveOnly: Decodable {
        struct Case: Decodable {
            let id: String
            let input: [[Int32]]
            let length: [Int]
            let context: [[Int]]
            let segment: [[Int]]
            let span: [[Int32]]
            let lastArgmax: [Int]
            let lastLogits: [[JSONFloat]]
        }
        let cases: [Case]
    }

    /// Every form in which a golden model is published here.
    static let forms: [(model: String, form: String)] = [
        ("ant-tiny-a", "hf"), ("ant-tiny-a", "hf-head"), ("ant-tiny-a", "hf-bin"), ("ant-tiny-a", "hf-sharded"),
        ("ant-tiny-a", "hf-sharded-head"), ("ant-tiny-a", "cpm-live"), ("ant-tiny-b", "hf"), ("ant-tiny-b", "hf-bin"),
        ("ant-tiny-b", "cpm-live"), ("ant-tiny-c", "hf"), ("ant-tiny-c", "hf-safetensors-sharded"),
        ("ant-tiny-c", "cpm-live"), ("ant-tiny-pruned", "cpm-live"),
    ]

    @Test(arguments: forms) func wholeTextPassesAgree(model: String, form: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open(model, form: form, weights: .float32, in: directory)
        let golden = try Golden.decode(Forward.self, "models/\(model)/golden/forward.json")
        let tensors = try PlainSafetensors(Golden.model(model).appendingPathComponent("golden/tensors.safetensors"))
        for testCase in golden.cases {
            let cases = zip(testCase.inputIds, testCase.lengths).map { ids, length in
                LogitsCase(id: testCase.id, inputIDs: Array(ids.suffix(length)))
            }
            let mine = try Fixture.logits(opened, cases)
            for (batchRow, length) in testCase.lengths.enumerated() {
                let last = try #require(mine[batchRow].last)
                #expect(largestDifference(last, testCase.lastLogits[batchRow].map(\.value)) < logitTolerance)
                #expect(argmax(last) == testCase.lastArgmax[batchRow])
                guard let all = tensors.floats("forward.\(testCase.id).logits"),
                    let shape = tensors.shapes["forward.\(testCase.id).logits"],
                    shape[1] == testCase.inputIds[batchRow].count
                else { continue }
                for row in 0..<length {
                    let start = (batchRow * shape[1] + shape[1] - length + row) * shape[2]
                    let expected = Array(all[start..<start + mine[batchRow][row].count])
                    #expect(
                        largestDifference(mine[batchRow][row], expected) < logitTolerance, "\(testCase.id) row \(row)")
                }
            }
        }
    }

    @Test(arguments: ["ant-tiny-a", "ant-tiny-b", "ant-tiny-c", "ant-tiny-pruned"])
    func promptTypesSegmentsSpansAndContextAgree(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open(model, form: "cpm-live", weights: .float32, in: directory)
        for testCase in try Golden.decode(LiveOnly.self, "models/\(model)/golden/live_only.json").cases {
            let cases = testCase.input.indices.map { row in
                LogitsCase(
                    id: testCase.id, input: testCase.input[row], length: testCase.length[row],
                    context: testCase.context[row], segment: testCase.segment[row], span: testCase.span[row])
            }
            let mine = try Fixture.logits(opened, cases)
            for row in cases.indices {
                let last = try #require(mine[row].last)
                #expect(
                    largestDifference(last, testCase.lastLogits[row].map(\.value)) < logitTolerance,
                    "\(testCase.id) \(row)")
                #expect(argmax(last) == testCase.lastArgmax[row])
            }
        }
    }
}

func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .infinity }
    return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
}

func argmax(_ values: [Float]) -> Int {
    values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
}
