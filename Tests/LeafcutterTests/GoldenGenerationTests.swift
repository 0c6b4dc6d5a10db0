import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import Leafcutter
import Testing

@Suite("Golden generation") struct GoldenGenerationTests {
    struct Generate: Decodable {
        struct Case: Decodable {
            struct Parameters: Decodable {
                let eosId: Int32?
                let topK: Int?
                let topP: Float?
                let temperature: Float?
                let maxLength: Int?
                let repetitionPenalty: Float?
                let repetitionWindow: Int?
            }
            let id: String
            let by: String
            let method: String?
            let inputIds: [[Int32]]
            let lengths: [Int]?
            let parameters: Parameters
            let newIds: [[Int32]]
        }
        let cases: [Case]
    }

    /// CPM-Live's sampling with one token left to choose from: its greedy decoding, with bans, penalty and window.
    @Test(arguments: ["ant-tiny-a", "ant-tiny-b", "ant-tiny-c", "ant-tiny-pruned"])
    func theIdsAreTheReferences(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try Fixture.open(model, form: "cpm-live", weights: .float32, in: directory)
        let cases = try Golden.decode(Generate.self, "models/\(model)/golden/generate.json").cases
        let sampled = cases.filter { $0.by == "live" && $0.method == "sample" }
        #expect(!sampled.isEmpty)
        for testCase in sampled {
            let parameters = testCase.parameters
            let options = GenerationOptions(
                maxTokens: parameters.maxLength ?? 100, temperature: parameters.temperature ?? 0.9,
                topP: parameters.topP ?? 0.9, topK: parameters.topK ?? 0, seed: 1,
                repetitionPenalty: parameters.repetitionPenalty ?? 1, repetitionWindow: parameters.repetitionWindow,
                eosID: parameters.eosId ?? 7)
            for (row, ids) in testCase.inputIds.enumerated() {
                let prompt = Array(ids.suffix(testCase.lengths?[row] ?? ids.count))
                let generation = try opened.generate(.ids(prompt), options)
                #expect(generation.samples[0].ids == testCase.newIds[row], "\(testCase.id) row \(row)")
            }
        }
    }

    struct Examples: Decodable {
        struct Example: Decodable {
            let prompt: String
            let inputIds: [Int32]
            let newIds: [Int32]
            let text: String
        }
        let generation: [Example]
    }

    /// The demo model recites what transformers recites with the same float16 weights.
    @Test func theDemoModelGivesItsExamples() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("demo.leaf")
        try Fixture.convert(Golden.demoModel, weights: .float16, to: path)
        let model = try Model(
            ModelFile(path: path), ModelOptions(memory: .gibibytes(1), capacity: .init(context: 200)))
        for example in try Golden.decode(Examples.self, at: Golden.demoModel.appendingPathComponent("examples.json"))
            .generation
        {
            let generation = try model.generate(
                .text(example.prompt), GenerationOptions(decoding: .greedy, maxTokens: 100, allowEmpty: true))
            #expect(generation.samples[0].ids + [7] == example.newIds, "\(example.prompt)")
            #expect(example.prompt + generation.samples[0].text == example.text)
        }
    }
}
