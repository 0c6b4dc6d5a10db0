import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import Leafcutter
import Testing

@Suite("int8 weights") struct Int8AccuracyTests {
    struct Study: Decodable {
        struct Entry: Decodable {
            let model: String
            let inputIDs: [Int32]
            let float32: [Float]
            /// The same rounding of weights, activations in float32.
            let int8: [Float]

            private enum Keys: String, CodingKey { case model, example }
            private enum ExampleKeys: String, CodingKey {
                case inputIDs = "input_ids"
                case float32 = "last_logits_float32"
                case int8 = "last_logits int8 layers and token table"
            }

            init(from decoder: any Decoder) throws {
                let entry = try decoder.container(keyedBy: Keys.self)
                model = try entry.decode(String.self, forKey: .model)
                let example = try entry.nestedContainer(keyedBy: ExampleKeys.self, forKey: .example)
                inputIDs = try example.decode([[Int32]].self, forKey: .inputIDs)[0]
                float32 = try example.decode([Float].self, forKey: .float32)
                int8 = try example.decode([Float].self, forKey: .int8)
            }
        }
        let models: [Entry]
    }

    static func studies() throws -> [Study.Entry] {
        let url = Golden.root.appendingPathComponent("int8.json")
        return try JSONDecoder().decode(Study.self, from: Data(contentsOf: url)).models
    }

    /// 16-bit activations add next to nothing to what rounding the weights does.
    @Test(arguments: ["hf", "cpm-live"]) func int16ActivationsEqualTheRoundedWeights(form: String) throws {
        for study in try Self.studies() {
            let directory = try TemporaryDirectory()
            let model = try Fixture.open(study.model, form: form, weights: .int8, in: directory, kv: .f32)
            let logits = try Fixture.logits(model, [LogitsCase(id: "", inputIDs: study.inputIDs)])
            #expect(largestDifference(try #require(logits[0].last), study.int8) < 5e-3, "\(study.model)")
        }
    }

    /// 8-bit activations stay within what the simulation of them showed (rms over deviation 0.12 to 0.14).
    @Test func int8ActivationsStayClose() throws {
        for study in try Self.studies() {
            let directory = try TemporaryDirectory()
            let model = try Fixture.open(
                study.model, form: "cpm-live", weights: .int8, in: directory, kv: .f32, activations: .int8)
            let logits = try #require(try Fixture.logits(model, [LogitsCase(id: "", inputIDs: study.inputIDs)])[0].last)
            let mean = study.float32.reduce(0, +) / Float(logits.count)
            let variance = study.float32.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            let error = zip(logits, study.float32).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
            #expect((error / variance).squareRoot() < 0.15, "\(study.model)")
        }
    }
}
