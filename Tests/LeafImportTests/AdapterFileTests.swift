import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

/// `Tests/Golden/tuning`: adapters and soft prompts by `Scripts/make-tuning-fixtures.py`.
@Suite("Adapter files") struct AdapterFileTests {
    private static let folder = Golden.root.appending(path: "tuning")
    private let directory: TemporaryDirectory
    private let configuration: ModelConfiguration

    init() throws {
        directory = try TemporaryDirectory()
        configuration = try Checkpoint(path: Golden.model("ant-tiny-c/hf").path, kernels: .best).configuration
    }

    private static func path(_ name: String) -> String { folder.appending(path: name).path }

    /// A safetensors file of zeros.
    private func write(_ shapes: [(name: String, shape: [Int])], _ name: String = "delta.safetensors") throws -> String
    {
        var tensors: [TensorEntry] = []
        var end = 0
        for (name, shape) in shapes {
            let bytes = shape.reduce(4, *)
            tensors.append(TensorEntry(name: name, type: .f32, shape: shape, offset: end, byteCount: bytes))
            end += bytes
        }
        let json = SafetensorsHeader.json(metadata: [], tensors: tensors)
        let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) }
        try Data(length + json + [UInt8](repeating: 0, count: end)).write(to: URL(filePath: directory.path(name)))
        return directory.path(name)
    }

    /// Queries and values of both layers, rank 2.
    private var whole: [(name: String, shape: [Int])] {
        (0..<2).flatMap { layer in
            ["project_q", "project_v"].flatMap { module in
                let name = "encoder.layers.\(layer).self_att.self_attention.\(module).lora.lora_"
                return [(name + "A", [2, 48]), (name + "B", [96, 2])]
            }
        }
    }

    private func refusal(_ shapes: [(name: String, shape: [Int])]) throws -> String {
        let path = try write(shapes)
        let error = failure { _ = try AdapterFile(path: path, for: configuration) }
        #expect(error?.kind == .badInput)
        return error?.description ?? "accepted"
    }

    @Test func everyFormIsRead() throws {
        let best = try AdapterFile(path: Self.path("best.pt"), for: configuration)
        #expect(best.factors.map(\.rank) == [4, 4, 4, 4] && best.factors.allSatisfy { $0.scale == 4 })
        let folder = try AdapterFile(path: Self.path("finetuned"), for: configuration)
        let single = try AdapterFile(path: Self.path("finetuned.safetensors"), alpha: 12, for: configuration)
        #expect(folder.factors.count == 14 && folder.factors.allSatisfy { $0.rank == 3 && $0.scale == 4 })
        for (one, other) in zip(folder.factors, single.factors) {
            #expect(one.matrix == other.matrix && one.scale == other.scale)
            let (a, b) = (try one.floats(.best), try other.floats(.best))
            #expect(a.a == b.a && a.b == b.b && a.a.contains { $0 != 0 })
        }
    }

    @Test func whatDoesNotBelongIsNamed() throws {
        let name = "encoder.layers.0.self_att.self_attention."
        #expect(try refusal(whole + [(name + "project_x.lora.lora_A", [2, 48])]).contains("project_x.lora.lora_A"))
        #expect(try refusal(whole + [("input_embedding.lora.lora_A", [2, 48])]).contains("input_embedding"))
        #expect(try refusal(whole + [(name + "project_k.adapter.down_proj.weight", [2, 48])]).contains("down_proj"))
        #expect(try refusal([]).contains("holds no tensors"))
    }

    @Test func whatIsMissingIsNamed() throws {
        for index in whole.indices {
            var shapes = whole
            let lost = shapes.remove(at: index)
            #expect(try refusal(shapes).contains("lacks \(lost.name)"))
        }
        // A whole module of one layer.
        #expect(
            try refusal(Array(whole.dropLast(2))).contains("layers.1.self_att.self_attention.project_v.lora.lora_A"))
    }

    @Test func wrongShapesAreNamed() throws {
        var shapes = whole
        shapes[0].shape = [2, 47]
        #expect(try refusal(shapes).contains("[2, 47]"))
        shapes = whole
        shapes[3].shape = [96, 3]
        #expect(try refusal(shapes).contains("[96, 3]"))
        shapes = whole
        shapes[0].shape = []
        #expect(try refusal(shapes).contains("no rank"))
    }

    @Test(arguments: [
        (#"{"delta_type":"adapter"}"#, "'adapter'"), (#"{"lora_r":3}"#, "rank of 3"), ("[", "not the configuration"),
        (#"{"lora_alpha":-1}"#, "-1"),
        (#"{"modified_modules":["project_k"]}"#, "layers.0.self_att.self_attention.project_k"),
    ])
    func theFoldersConfigurationIsChecked(json: String, reason: String) throws {
        _ = try write(whole, "model.safetensors")
        try Data(json.utf8).write(to: URL(filePath: directory.path("config.json")))
        let error = failure { _ = try AdapterFile(path: directory.url.path, for: configuration) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "accepted")")
    }

    /// PEFT's names of the same tensors.
    private func peft(_ middle: String = "") -> [(name: String, shape: [Int])] {
        whole.map { tensor in
            let name = tensor.name.replacing(".lora.", with: ".")
            return ("base_model.model.cpmant.\(name)\(middle).weight", tensor.shape)
        }
    }

    private func writeConfiguration(_ more: String = "") throws {
        let json =
            #"{"peft_type":"LORA","r":2,"lora_alpha":6,"bias":"none","target_modules":["project_q","project_v"]"#
            + #","rank_pattern":{},"alpha_pattern":{},"modules_to_save":null,"use_dora":false\#(more)}"#
        try Array(json.utf8).write(to: directory.path("adapter_config.json"))
    }

    @Test(arguments: ["", ".default"]) func theFoldersOfPEFTAreRead(middle: String) throws {
        let path = try write(peft(middle), "adapter_model.safetensors")
        // No alpha is usual there.
        let error = failure { _ = try AdapterFile(path: path, for: configuration) }
        #expect(error?.advice == .setting("delta_alpha", ["A"]))
        #expect(try AdapterFile(path: path, alpha: 2, for: configuration).factors.allSatisfy { $0.scale == 1 })
        try writeConfiguration()
        for source in [path, directory.url.path] {
            let adapter = try AdapterFile(path: source, for: configuration)
            #expect(adapter.factors.count == 4 && adapter.factors.allSatisfy { $0.scale == 3 && $0.rank == 2 })
            #expect(adapter.note == nil)
        }
        try writeConfiguration(#", "use_rslora": true"#)
        let stabilized = try AdapterFile(path: path, for: configuration)
        #expect(stabilized.factors.allSatisfy { $0.scale == 6 / Float(2).squareRoot() })
        // Some layers alone, or an expression: then no module can be missing.
        let one = try write(Array(peft(middle).prefix(4)), "adapter_model.safetensors")
        try writeConfiguration(#", "layers_to_transform": [0]"#)
        #expect(try AdapterFile(path: one, for: configuration).factors.count == 2)
        try writeConfiguration()
        #expect(failure { _ = try AdapterFile(path: one, for: configuration) }?.description.contains("lacks") == true)
    }

    @Test(arguments: [
        (#""use_dora":true"#, "DoRA"), (#""lora_bias":true"#, "a bias"), (#""bias":"all""#, "a bias"),
        (#""rank_pattern":{"project_q":4}"#, "rank_pattern"), (#""alpha_pattern":{"project_q":4}"#, "alpha_pattern"),
        (#""modules_to_save":["lm_head"]"#, "modules_to_save"), (#""peft_type":"IA3""#, "the kind 'IA3'"),
        (#""peft_type":"PROMPT_TUNING""#, "the kind 'PROMPT_TUNING'"), (#""r":3"#, "no rank of 3"),
        (#""r":"x""#, "'r' is no number"),
    ])
    func whatPEFTDoesBesidePlainLoRAIsRefusedByName(field: String, reason: String) throws {
        let path = try write(peft(), "adapter_model.safetensors")
        let rest = field.contains("peft_type") ? "" : #""peft_type":"LORA","#
        try Array("{\(rest)\(field)}".utf8).write(to: directory.path("adapter_config.json"))
        let error = failure { _ = try AdapterFile(path: path, for: configuration) }
        #expect(error?.kind == .badInput)
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "accepted")")
    }

    @Test func aMagnitudeIsDoRA() throws {
        let name = "base_model.model.cpmant.encoder.layers.0.self_att.self_attention.project_q.lora_magnitude_vector"
        #expect(try refusal(peft() + [(name, [96])]).contains("is a DoRA adapter"))
    }

    @Test(arguments: ["generator.", "module.", "model.cpmant.", "a.b.c.", "cpmant."])
    func whatStandsInFrontOfAllNamesIsLeftOut(prefix: String) throws {
        let path = try write(whole.map { (prefix + $0.name, $0.shape) })
        let adapter = try AdapterFile(path: path, for: configuration)
        #expect(adapter.factors.count == 4)
        let shared = prefix.replacing("cpmant.", with: "")
        #expect(adapter.note.map { $0.contains("begin with `\(shared)`") } ?? shared.isEmpty)
    }

    @Test func whatStandsInFrontOfSomeNamesIsNot() throws {
        var shapes = whole
        shapes[3].name = "module." + shapes[3].name
        #expect(try refusal(shapes).contains("no LoRA beside this model's matrices: module.encoder"))
    }

    @Test func softPromptsAreFound() throws {
        let one = try SoftPromptFile(path: Self.path("prompt.safetensors"), for: configuration)
        #expect(one.rowCount == 8 && !one.isTable)
        let table = try SoftPromptFile(path: Self.path("prompts.pt"), for: configuration)
        #expect(table.rowCount == 32 && table.isTable)
        let pair = try write([("a", [8, 48]), ("b", [8, 48])])
        #expect(
            failure { _ = try SoftPromptFile(path: pair, for: configuration) }?.description.contains("several") == true)
        let wrong = try write([("a", [8, 47])])
        #expect(
            failure { _ = try SoftPromptFile(path: wrong, for: configuration) }?.description.contains("no tensor")
                == true)
    }
}
