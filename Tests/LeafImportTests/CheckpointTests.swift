import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

/// A transformers folder that a test can bend.
struct Folder {
    let directory: TemporaryDirectory
    var tensors: [(name: String, shape: [Int], floats: [Float])]
    var config: String
    /// Names of the tensors that are written in float16.
    var halves: Set<String> = []

    init(_ form: String = "ant-tiny-c/hf") throws {
        directory = try TemporaryDirectory()
        let source = try PlainSafetensors(Golden.model("\(form)/model.safetensors"))
        tensors = source.shapes.keys.sorted().map { ($0, source.shapes[$0]!, source.floats($0)!) }
        config = try String(contentsOf: Golden.model("\(form)/config.json"), encoding: .utf8)
    }

    mutating func change(_ name: String, _ body: (inout [Float], inout [Int]) -> Void) {
        let index = tensors.firstIndex { $0.name == name }!
        var tensor = tensors[index]
        body(&tensor.floats, &tensor.shape)
        tensors[index] = tensor
    }

    func write() throws {
        var numbers = Data()
        let entries = tensors.map { tensor in
            let begin = numbers.count
            let isHalf = halves.contains(tensor.name)
            if isHalf {
                tensor.floats.map { Float16($0) }.withUnsafeBytes { numbers.append(contentsOf: $0) }
            } else {
                tensor.floats.withUnsafeBytes { numbers.append(contentsOf: $0) }
            }
            return TensorEntry(
                name: tensor.name, type: isHalf ? .f16 : .f32, shape: tensor.shape, offset: begin,
                byteCount: numbers.count - begin)
        }
        let json = SafetensorsHeader.json(metadata: [], tensors: entries)
        let data = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + Data(json) + numbers
        try data.write(to: directory.url.appending(path: "model.safetensors"))
        try Data(config.utf8).write(to: directory.url.appending(path: "config.json"))
    }

    /// Why it does not convert; nil if it does.
    func refusal(_ weights: WeightFormat = .int8) throws -> LeafError? {
        try write()
        return failure { _ = try Conversion(directory.url.path, weights) }
    }
}

@Suite("checkpoints") struct CheckpointTests {
    private static let out = "cpmant.encoder.layers.1.ffn.ffn.w_out.weight"

    @Test func anUnbentFolderConverts() throws {
        #expect(try Folder().refusal() == nil)
    }

    @Test func whatIsMissingIsNamed() throws {
        var folder = try Folder()
        folder.tensors.removeAll { $0.name == Self.out }
        #expect(try folder.refusal()?.description.contains("lacks encoder.layers.1.ffn.ffn.w_out.weight") == true)
        folder.tensors.removeAll { $0.name.contains("layers.0.") }
        #expect(try folder.refusal()?.description.contains("layer 0 has no attention") == true)
        folder.tensors.removeAll()
        #expect(try folder.refusal()?.description.contains("no tensor input_embedding.weight") == true)
    }

    @Test func whatIsTooMuchIsNamed() throws {
        var folder = try Folder()
        folder.tensors.append(("cpmant.encoder.layers.1.ffn.ffn.w_out.bias", [1], [0]))
        #expect(try folder.refusal()?.description.contains("do not belong to this CPM-Ant: encoder.layers.1") == true)
        folder.tensors[folder.tensors.count - 1].name = "cpmant.encoder.layers.9.ffn.ffn.w_out.weight"
        #expect(try folder.refusal()?.description.contains("tensors of layer 9") == true)
        folder.tensors[folder.tensors.count - 1].name = "cpmant.encoder.layers.9223372036854775807.ffn.ffn.w_out.weight"
        #expect(try folder.refusal()?.kind == .badInput)
    }

    @Test func aWrongShapeIsNamed() throws {
        var folder = try Folder()
        folder.change(Self.out) { $1 = [$1[1], $1[0]] }
        #expect(
            try folder.refusal()?.description.contains("has the shape [100, 48], the configuration asks for [48, 100]")
                == true)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity], WeightFormat.allCases)
    func whatIsNotFiniteIsNamedWithItsRow(number: Float, weights: WeightFormat) throws {
        var folder = try Folder()
        folder.change(Self.out) { floats, _ in floats[37 * 100 + 99] = number }
        let description = try folder.refusal(weights)?.description
        #expect(description?.contains("\(Self.out) holds a NaN or an infinity in row 37") == true)
        folder = try Folder()
        folder.change("cpmant.encoder.output_layernorm.weight") { floats, _ in floats[3] = number }
        #expect(try folder.refusal(weights)?.description.contains("NaN or an infinity") == true)
    }

    @Test func whatFloat16CannotHoldIsNamed() throws {
        var folder = try Folder()
        folder.change(Self.out) { floats, _ in floats[500] = 65_519 }
        #expect(try folder.refusal(.float16) == nil)
        folder.change(Self.out) { floats, _ in floats[500] = 65_520 }
        #expect(try folder.refusal(.float16)?.description.contains("65520.0 in row 5, too large for float16") == true)
        #expect(try folder.refusal(.int8) == nil)
    }

    @Test func aRowOfZerosHasScaleZero() throws {
        var folder = try Folder()
        folder.change(Self.out) { floats, _ in for index in 300..<400 { floats[index] = 0 } }
        try folder.write()
        let conversion = try Conversion(folder.directory.url.path)
        let name = "encoder.layers.1.ffn.ffn.w_out.weight"
        #expect(try conversion.rows.resident(FileShape.scaleName(of: name))[3] == 0)
        #expect(try conversion.quantized(name)[3].allSatisfy { $0 == 0 })
    }

    /// A head that was trained on its own may differ by very little.
    @Test func aHeadOfItsOwnIsAMatrixOfTheFile() throws {
        var folder = try Folder()
        let table = folder.tensors.first { $0.name.hasSuffix("input_embedding.weight") }!
        var head = (name: "lm_head.weight", shape: [300, 48], floats: Array(table.floats[0..<300 * 48]))
        folder.tensors.append(head)
        try folder.write()
        let tied = try Conversion(folder.directory.url.path, .float32)
        #expect(!tied.file.matrices.contains { $0.name == "lm_head.weight" })
        #expect(tied.file.metadata["version"] == "1")
        for change: Float in [1e-5, -1] {
            head.floats[77] = table.floats[77] + change
            folder.tensors[folder.tensors.count - 1] = head
            try folder.write()
            let own = try Conversion(folder.directory.url.path, .float32)
            #expect(own.file.metadata["version"] == "3")
            #expect(own.file.matrices.suffix(2).map(\.name) == ["lm_head.weight", TensorName.tokenTable])
            #expect(own.file.matrices.count == tied.file.matrices.count + 1)
            let folderAgain = try TemporaryDirectory()
            _ = try Exporter(model: own.file.path, folder: folderAgain.path("out")).run()
            let exported = try PlainSafetensors(
                URL(filePath: folderAgain.path("out/model-00001-of-00001.safetensors")))
            #expect(exported.floats("lm_head.weight") == head.floats)
            #expect(exported.floats("cpmant.input_embedding.weight") == table.floats)
        }
        head.floats[77] = .nan
        folder.tensors[folder.tensors.count - 1] = head
        #expect(try folder.refusal()?.description.contains("lm_head.weight holds") == true)
    }

    /// With rows of soft prompts it is tied in every version that writes such heads.
    @Test func aHeadThatNobodyTrainsIsRefused() throws {
        var folder = try Folder()
        let table = folder.tensors.first { $0.name.hasSuffix("input_embedding.weight") }!
        var head = (name: "lm_head.weight", shape: [332, 48], floats: table.floats)
        head.floats[77] += 1
        folder.tensors.append(head)
        #expect(try folder.refusal()?.description.contains("lm_head.weight differs from the token table") == true)
    }

    @Test func aRoundedTableIsNoHeadOfItsOwn() throws {
        var folder = try Folder()
        let table = folder.tensors.first { $0.name.hasSuffix("input_embedding.weight") }!
        folder.halves = ["lm_head.weight"]
        folder.tensors.append(("lm_head.weight", [300, 48], Array(table.floats[0..<300 * 48])))
        try folder.write()
        let result = try Conversion(folder.directory.url.path).result
        #expect(result.warnings.contains { $0.contains("is the token table, rounded") })
    }

    @Test(arguments: [
        ("\"hidden_size\": 48", "\"hidden_size\": 49", "the configuration asks for"),
        ("\"num_attention_heads\": 3", "\"num_attention_heads\": -3", "num_heads is -3"),
        ("\"vocab_size\": 300", "\"vocab_size\": 9223372036854775807", "vocab_size is 9223372036854775807"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "layer 2 has no attention"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "tensors of layer 1"),
        ("\"model_type\": \"cpmant\"", "\"model_type\": \"llama\"", "the model is a llama"),
        (
            "\"mask_modules\": null", "\"mask_modules\": [[false, true], [false, false]]",
            "disagree about the feed-forward of layer 0"
        ),
        ("\"mask_modules\": null", "\"mask_modules\": [[0, 0]]", "one pair for each of 2 layers"),
        ("\"eps\": 1e-06", "\"eps\": -1", "eps is -1"),
        ("\"eps\": 1e-06", "\"eps\": \"x\"", "'eps' is no number"),
        ("{", "[", "it is not valid JSON"), ("}", "", "it is not valid JSON"),
    ])
    func aWrongConfigurationIsRefused(old: String, new: String, reason: String) throws {
        var folder = try Folder()
        #expect(folder.config.contains(old))
        folder.config = folder.config.replacing(old, with: new)
        let description = try folder.refusal()?.description ?? "accepted"
        #expect(description.contains(reason), "\(description)")
    }

    /// As `json.dump` writes it.
    @Test(arguments: ["-Infinity", "NaN", "[1, Infinity]", #"{"a": "\ud83d"}"#])
    func whatPythonAloneWritesDoesNoHarm(value: String) throws {
        var folder = try Folder()
        folder.config = folder.config.replacing("\"eps\": 1e-06", with: "\"eps\": 1e-06, \"mask_value\": \(value)")
        #expect(try folder.refusal() == nil)
        folder.config = folder.config.replacing("\"eps\": 1e-06", with: "\"eps\": \(value)")
        #expect(try folder.refusal()?.description.contains("'eps' is no number") == true)
    }

    @Test func mutatedConfigurationsNeverCrash() throws {
        let folder = try Folder()
        try folder.write()
        let config = try OutputFile(path: folder.directory.path("config.json"))
        try expectMutationsNeverCrash(folder.config, rounds: 2000) { bytes in
            try config.write(bytes, at: 0)
            return failure { _ = try Checkpoint(path: folder.directory.url.path, kernels: .best) }
        }
    }

    @Test func whatTheConfigurationLeavesOutFollowsFromTheShapes() throws {
        var folder = try Folder()
        for key in ["dim_ff", "dim_head", "num_attention_heads", "num_hidden_layers", "segment_types"] {
            let line = folder.config.split(separator: "\n").first { $0.contains("\"\(key)\"") }!
            folder.config = folder.config.replacing(line + "\n", with: "")
        }
        #expect(try folder.refusal() == nil)
    }

    @Test(arguments: ["module.", "model.", "generator.", "_orig_mod.module.", "a.b-c."])
    func whatStandsInFrontOfAllNamesIsLeftOutAndSaid(prefix: String) throws {
        var folder = try Folder()
        let expected = try Conversion(Forms.path("ant-tiny-c/hf")).data()
        for isBare in [false, true] {
            for index in folder.tensors.indices {
                let name = folder.tensors[index].name
                folder.tensors[index].name = isBare ? name.replacing("cpmant.", with: "") : prefix + name
            }
            try folder.write()
            let conversion = try Conversion(folder.directory.url.path)
            #expect(try conversion.data() == expected)
            #expect(conversion.result.warnings.contains { $0.contains("begin with `\(prefix)`, which was left out") })
        }
        // A single name without it: then it is no prefix.
        folder.tensors[0].name = String(folder.tensors[0].name.dropFirst(prefix.count))
        #expect(try folder.refusal() != nil)
    }

    @Test(arguments: [
        ("ant-tiny-a/hf-sharded", "pytorch_model-00001-of-00002.bin"),
        ("ant-tiny-a/hf-sharded", "pytorch_model-00002-of-00002.bin"),
        ("ant-tiny-a/hf-sharded-head", "pytorch_model-00001-of-00002.bin"),
        ("ant-tiny-a/hf-sharded", "pytorch_model.bin.index.json"),
    ])
    func oneShardBringsTheOthers(folder: String, name: String) throws {
        let whole = try Conversion(Forms.path(folder))
        let conversion = try Conversion(Forms.path("\(folder)/\(name)"))
        #expect(try conversion.data() == whole.data())
        let isSaid = conversion.result.warnings.contains { $0.contains("is one of several shards") }
        #expect(isSaid == name.hasSuffix(".bin"))
    }

    @Test func aShardWithoutItsIndexIsNamed() throws {
        let directory = try TemporaryDirectory()
        let name = "pytorch_model-00002-of-00002.bin"
        try FileManager.default.copyItem(
            atPath: Forms.path("ant-tiny-a/hf-sharded/\(name)"), toPath: directory.path(name))
        let description = failure { _ = try Conversion(directory.path(name)) }?.description ?? "accepted"
        #expect(description.contains("is shard 2 of 2"), "\(description)")
        #expect(description.contains("pytorch_model.bin.index.json, which lists them, is not there"))
        // The only one of one is whole.
        let alone = "model-00001-of-00001.safetensors"
        for (source, target) in [("model.safetensors", alone), ("config.json", "config.json")] {
            try FileManager.default.copyItem(
                atPath: Forms.path("ant-tiny-c/hf/\(source)"), toPath: directory.path(target))
        }
        _ = try Conversion(directory.path(alone))
    }

    @Test func filesThatAreNotThereAreNamed() throws {
        let directory = try TemporaryDirectory()
        func refusal(_ path: String) -> String { failure { _ = try Conversion(path) }?.description ?? "accepted" }
        #expect(refusal(directory.url.path).contains("holds none of model.safetensors"))
        #expect(refusal(directory.path("none")).contains("no such file"))
        try FileManager.default.copyItem(
            atPath: Forms.path("ant-tiny-a/cpm-live/ant-tiny-a.pt"), toPath: directory.path("a.pt"))
        #expect(refusal(directory.path("a.pt")).contains("no configuration beside it"))
        let converter = failure {
            _ = try Conversion(directory.path("a.pt")) {
                $0.configurationPath = Golden.model("ant-tiny-a/cpm-live/ant-tiny-a.json").path
            }
        }
        #expect(converter == nil)
        try Data().write(to: URL(filePath: directory.path("a.pt")))
        #expect(refusal(directory.path("a.pt")).contains("too few"))
        let leaf = try Conversion(Forms.path("ant-tiny-c/hf"))
        #expect(refusal(leaf.file.path).contains("a Leafcutter model already"))
    }

    /// Weights of each form with the configuration of the other.
    @Test(arguments: [
        ("ant-tiny-a/cpm-live/ant-tiny-a.pt", "ant-tiny-a/hf/config.json"),
        ("ant-tiny-a/hf", "ant-tiny-a/cpm-live/ant-tiny-a.json"),
        ("ant-tiny-a/hf-bin", "ant-tiny-a/cpm-live/ant-tiny-a.json"),
        ("ant-tiny-a/hf-sharded/pytorch_model-00001-of-00002.bin", "ant-tiny-a/cpm-live/ant-tiny-a.json"),
        ("ant-tiny-c/hf/model.safetensors", "ant-tiny-c/cpm-live/ant-tiny-c.json"),
    ])
    func theConfigurationOfTheOtherFormIsRefused(weights: String, configuration: String) throws {
        let error = failure {
            _ = try Conversion(Forms.path(weights)) { $0.configurationPath = Forms.path(configuration) }
        }
        #expect(error?.kind == .badInput && error?.advice == .without("config"))
        #expect(error?.description.contains("whose weights have another scale") == true, "\(error!)")
    }

    /// Where no configuration lies beside the weights, their names tell.
    @Test func theNamesOfTheOtherFormAreRefused() throws {
        func refusal(_ source: String, _ configuration: String, _ change: (inout Folder) -> Void = { _ in }) throws
            -> LeafError?
        {
            var folder = try Folder(source)
            change(&folder)
            try folder.write()
            try FileManager.default.moveItem(
                atPath: folder.directory.path("config.json"), toPath: folder.directory.path("c"))
            return failure {
                _ = try Conversion(folder.directory.url.path) { $0.configurationPath = Forms.path(configuration) }
            }
        }
        let live = "ant-tiny-c/cpm-live/ant-tiny-c.json"
        for prefix in ["", "module."] {
            let error = try refusal("ant-tiny-c/hf", live) { folder in
                for index in folder.tensors.indices { folder.tensors[index].name = prefix + folder.tensors[index].name }
            }
            #expect(error?.description.contains("which only transformers' form has") == true)
            #expect(error?.advice == .setting("config", ["FILE"]))
        }
        let head = try refusal("ant-tiny-c/hf", live) { folder in
            for index in folder.tensors.indices {
                folder.tensors[index].name = folder.tensors[index].name.replacing("cpmant.", with: "")
            }
            var table = folder.tensors.first { $0.name == "input_embedding.weight" }!
            table.name = "lm_head.weight"
            folder.tensors.append(table)
        }
        #expect(head?.description.contains("holds lm_head.weight, which only transformers' form has") == true)
        #expect(try refusal("ant-tiny-c/hf", "ant-tiny-c/hf/config.json") == nil)
        let directory = try TemporaryDirectory()
        try FileManager.default.copyItem(
            atPath: Forms.path("ant-tiny-a/cpm-live/ant-tiny-a.pt"), toPath: directory.path("a.pt"))
        let config = Forms.path("ant-tiny-a/hf/config.json")
        let folded = failure { _ = try Conversion(directory.path("a.pt")) { $0.configurationPath = config } }
        #expect(folded?.description.contains("only CPM-Live's form has") == true)
    }

    @Test(arguments: [
        ("{}", "'weight_map' is missing"), ("{\"weight_map\":{}}", "names no shard"),
        ("{\"weight_map\":{\"a\":\"../x\"}}", "not a file beside it"),
        ("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "not a file beside it"),
        ("{\"weight_map\":{\"a\":\"none.bin\"}}", "no such file"),
        ("{\"weight_map\":{\"a\":\"shard.safetensors\"}}", "tensor a is not in its shard"),
    ])
    func aWrongIndexIsRefused(index: String, reason: String) throws {
        let directory = try TemporaryDirectory()
        try Data(index.utf8).write(to: URL(filePath: directory.path("model.safetensors.index.json")))
        try FileManager.default.copyItem(
            at: Golden.model("ant-tiny-c/hf/model.safetensors"), to: URL(filePath: directory.path("shard.safetensors")))
        try FileManager.default.copyItem(
            at: Golden.model("ant-tiny-c/hf/config.json"), to: URL(filePath: directory.path("config.json")))
        let description = failure { _ = try Conversion(directory.url.path) }?.description ?? "accepted"
        #expect(description.contains(reason), "\(description)")
    }

    @Test func viewsOutsideTheirStorageAreRefused() throws {
        let file = try InputFile(path: Forms.fixture("config.json"))
        func view(_ shape: [Int], _ strides: [Int], _ offset: Int = 0) -> LeafError? {
            failure {
                _ = try SourceTensor(
                    name: "t", type: .f32, shape: shape, strides: strides, storage: TensorStorage(file), offset: offset)
            }
        }
        #expect(view([4, 4], [4, 1]) == nil)
        #expect(view([4, 4], [100, 1])?.kind == .badInput)
        #expect(view([4, 4], [4, 1], file.byteCount)?.kind == .badInput)
        #expect(view([4, 4], [4])?.kind == .badInput)
        #expect(view([4, 4], [-4, 1])?.kind == .badInput)
        #expect(view([Int.max, 2], [Int.max, 1])?.kind == .badInput)
        #expect(view([2, 2], [Int.max, Int.max])?.kind == .badInput)
        #expect(view([0, 4], [4, 1]) == nil)
    }
}
