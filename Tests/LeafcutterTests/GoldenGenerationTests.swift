import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import Leafcutter
import Testing

@Suite("Golden generation") struct GoldenGenerationTests {
    struct Generate: Decodable {
        struct Case: Decodable, Sendable {
            struct Parameters: Decodable, Sendable {
                let eosId: Int32?
                let topK: Int?
                let topP: Float?
                let temperature: Float?
                let maxLength: Int?
                let beamSize: Int?
                let repetitionPenalty: Float?
                let repetitionWindow: Int?
                // transformers' names
                let eosTokenId: Int32?
                let useCache: Bool?
                let numBeams: Int?
                let beginSuppressTokens: [Int32]?
                let earlyStopping: Bool?
                let lengthPenalty: Float?
            }
            struct Hypothesis: Decodable, Sendable {
                let score: Double
                let ids: [Int32]

                init(from decoder: any Decoder) throws {
                    var values = try decoder.unkeyedContainer()
                    score = try values.decode(Double.self)
                    ids = try values.decode([Int32].self)
                }
            }
            let id: String
            let by: String
            let method: String?
            let inputIds: [[Int32]]
            let lengths: [Int]?
            let maxNewTokens: Int?
            let idsLimitedToVocab: Bool?
            let parameters: Parameters
            let newIds: [[Int32]]
            let hypothesesScoreIds: [[Hypothesis]]?

            /// The rows without their padding.
            var prompts: [[Int32]] {
                inputIds.enumerated().map { row, ids in
                    lengths.map { Array(ids.suffix($0[row])) } ?? Array(ids.drop { $0 == 0 })
                }
            }
        }
        let cases: [Case]
    }

    /// float32 log-probabilities of two implementations, summed over 33 tokens and divided by as many.
    private static let scoreTolerance = 1e-4

    private func open(_ model: String, _ directory: TemporaryDirectory, form: String = "cpm-live") throws -> Model {
        let path = directory.path("\(model).leaf")
        try Fixture.convert(model, form: form, weights: .float32, to: path)
        let capacity = Demand(context: 512, rows: 128, logitRows: 16, sequences: 16)
        return try Model(ModelFile(path: path), ModelOptions(memory: .gibibytes(1), threads: 2, capacity: capacity))
    }

    private func cases(_ model: String) throws -> [Generate.Case] {
        try Golden.decode(Generate.self, "models/\(model)/golden/generate.json").cases
    }

    /// CPM-Live's sampling with one token left to choose from: its greedy decoding, with bans, penalty and window.
    @Test(arguments: ["ant-tiny-a", "ant-tiny-b", "ant-tiny-c", "ant-tiny-pruned"])
    func theIdsAreTheReferences(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try open(model, directory)
        let sampled = try cases(model).filter { $0.by == "live" && $0.method == "sample" }
        #expect(!sampled.isEmpty)
        for testCase in sampled {
            let parameters = testCase.parameters
            let options = GenerationOptions(
                maxTokens: parameters.maxLength ?? 100, temperature: parameters.temperature ?? 0.9,
                topP: parameters.topP ?? 0.9, topK: parameters.topK ?? 0, seed: 1,
                repetitionPenalty: parameters.repetitionPenalty ?? 1, repetitionWindow: parameters.repetitionWindow,
                eosID: parameters.eosId ?? 7)
            for (row, prompt) in testCase.prompts.enumerated() {
                let generation = try opened.generate(.ids(prompt), options)
                #expect(generation.samples[0].ids == testCase.newIds[row], "\(testCase.id) row \(row)")
            }
        }
    }

    /// All hypotheses of CPM-Live's beam search, in order, with their scores.
    @Test(arguments: ["ant-tiny-a", "ant-tiny-b", "ant-tiny-c", "ant-tiny-pruned"])
    func theBeamsAreCPMLives(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try open(model, directory)
        let searched = try cases(model).filter { $0.by == "live" && $0.method == "beam" }
        #expect(searched.count > 18)
        for testCase in searched {
            let parameters = testCase.parameters
            let width = try #require(parameters.beamSize)
            let options = GenerationOptions(
                decoding: .beams(width), maxTokens: parameters.maxLength ?? 100,
                repetitionPenalty: parameters.repetitionPenalty ?? 1, repetitionWindow: parameters.repetitionWindow,
                eosID: parameters.eosId ?? 7)
            for (row, prompt) in testCase.prompts.enumerated() {
                let generation = try opened.generate(.ids(prompt), options, samples: width)
                let expected = try #require(testCase.hypothesesScoreIds?[row])
                #expect(generation.samples.map(\.ids) == expected.map(\.ids), "\(testCase.id) row \(row)")
                #expect(generation.samples[0].ids == testCase.newIds[row])
                for (sample, hypothesis) in zip(generation.samples, expected) {
                    let score = try #require(sample.score)
                    #expect(abs(score - hypothesis.score) < Self.scoreTolerance, "\(testCase.id) row \(row)")
                }
            }
        }
    }

    /// transformers' greedy decoding and beam search: its penalty, its ends, its raw soft prompt rows, its way without
    /// a cache.
    @Test(arguments: ["ant-tiny-a", "ant-tiny-b", "ant-tiny-c"])
    func theTextsAreTransformers(model: String) throws {
        let directory = try TemporaryDirectory()
        let opened = try open(model, directory, form: "hf")
        let recorded = try cases(model).filter { $0.by == "hf" }
        #expect(recorded.count > 35)
        for testCase in recorded {
            let parameters = testCase.parameters
            let eosID = try #require(parameters.eosTokenId)
            let options = GenerationOptions(
                decoding: parameters.numBeams.map { .beams($0) } ?? .greedy,
                maxTokens: try #require(testCase.maxNewTokens), repetitionPenalty: parameters.repetitionPenalty ?? 1,
                allowEmpty: parameters.beginSuppressTokens == nil, eosID: eosID,
                lengthPenalty: parameters.lengthPenalty ?? 1, earlyStopping: parameters.earlyStopping ?? false,
                compatibility: parameters.useCache == false
                    ? .transformersUncached
                    : testCase.idsLimitedToVocab == true ? .transformers : .transformersRaw)
            for (row, prompt) in testCase.prompts.enumerated() {
                let sample = try opened.generate(.ids(prompt), options).samples[0]
                // transformers shows the end, and fills rows of a batch up behind it.
                var ids = sample.ids
                if sample.finishReason == .stop { ids.append(eosID) }
                ids += Array(repeating: 0, count: max(0, testCase.newIds[row].count - ids.count))
                #expect(ids == testCase.newIds[row], "\(testCase.id) row \(row)")
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
        let model = try Model(
            Fixture.demo(in: directory, weights: .float16),
            ModelOptions(memory: .gibibytes(1), capacity: .init(context: 200)))
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
