import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

/// A copy of the pruned model whose record a test can bend.
private struct Pruned {
    let directory: TemporaryDirectory
    var record: String

    static func golden(_ name: String) -> String { Golden.root.appending(path: "compressed/\(name)").path }

    init() throws {
        directory = try TemporaryDirectory()
        for name in ["pruned.pt", "pruned.json"] {
            try FileManager.default.copyItem(atPath: Self.golden(name), toPath: directory.path(name))
        }
        record = try String(contentsOfFile: Self.golden("pruned.pt.cnofig.json"), encoding: .utf8)
            .replacing("\n", with: "").replacing(" ", with: "")
    }

    func checkpoint(masks: String? = golden("masks.pt")) throws -> Checkpoint {
        try Data(record.utf8).write(to: URL(filePath: directory.path("pruned.pt.cnofig.json")))
        return try Checkpoint(path: directory.path("pruned.pt"), masksPath: masks, kernels: .best)
    }

    func refusal(masks: String? = golden("masks.pt")) -> LeafError? { failure { _ = try checkpoint(masks: masks) } }
}

@Suite("Pruned checkpoints") struct PruningTests {
    @Test func sizesAndHeadsAreThoseThatAreLeft() throws {
        let configuration = try Pruned().checkpoint().configuration
        #expect(configuration.layers.map(\.hasAttention) == [true, true, false, true, false])
        #expect(configuration.layers.map(\.hasFeedForward) == [true, false, true, true, false])
        #expect(configuration.attentionLayers.map { configuration.layers[$0].heads } == [[1, 3], nil, [2]])
        #expect(configuration.attentionLayers.map(configuration.dimHead(ofLayer:)) == [8, 12, 5])
        #expect([0, 2, 3].map(configuration.dimFF(ofLayer:)) == [19, 40, 33])
        #expect(!configuration.isUniform)
    }

    /// Then it is a model like any other, in a file that older programs read.
    @Test func equalSizesAreTheModels() throws {
        let directory = try TemporaryDirectory()
        for name in ["sparse.pt", "sparse.json"] {
            try FileManager.default.copyItem(atPath: Pruned.golden(name), toPath: directory.path(name))
        }
        let plain = try Conversion(directory.path("sparse.pt"))
        try Data(#"{"num_heads":[4,4],"dim_head":[12,12],"dim_ff":[40.0,40.0]}"#.utf8)
            .write(to: URL(filePath: directory.path("sparse.pt.cnofig.json")))
        let recorded = try Conversion(directory.path("sparse.pt"))
        #expect(recorded.file.configuration == plain.file.configuration && recorded.file.configuration.isUniform)
        #expect(recorded.file.metadata["version"] == "1")
        #expect(try recorded.data() == plain.data())
    }

    @Test func theFileSaysWhatItNeeds() throws {
        let pruned = try Pruned()
        let checkpoint = try pruned.checkpoint()
        let conversion = try Conversion(pruned.directory.path("pruned.pt")) { $0.masksPath = Pruned.golden("masks.pt") }
        #expect(conversion.file.metadata["version"] == "2")
        #expect(conversion.file.configuration.layers == checkpoint.configuration.layers)
        for name in ["pruned.pt.cnofig.json", "masks.pt"] {
            #expect(conversion.file.metadata["source"]?.contains(name) == true)
        }
        try conversion.file.verify()
        let refusal = failure {
            _ = try Exporter(model: conversion.file.path, folder: pruned.directory.path("out")).run()
        }
        #expect(refusal?.kind == .badInput)
    }

    @Test func theMasksAreAskedFor() throws {
        let error = try Pruned().refusal(masks: nil)
        #expect(error?.kind == .usage && error?.advice == .setting("masks", ["FILE"]))
        let others = try Pruned().refusal(masks: Pruned.golden("early-masks.pt"))
        #expect(others?.description.contains("the mask num_heads has 5 entries") == true)
        for file in ["pruned.pt", "pruned.json"] {
            #expect(try Pruned().refusal(masks: Pruned.golden(file))?.description.contains("no masks of heads") == true)
        }
        let useless = failure {
            _ = try Checkpoint(path: Pruned.golden("sparse.pt"), masksPath: Pruned.golden("masks.pt"), kernels: .best)
        }
        #expect(useless?.kind == .usage && useless?.advice == .without("masks"))
    }

    @Test(arguments: [
        ("[2.0,4.0,4.0,1.0]", "[2.0,4.0,4.0,2.0]", "leaves 2 of 4 heads in layer 3, the masks 1 of 4"),
        ("[2.0,4.0,4.0,1.0]", "[2.0,4.0]", "num_heads has 2 entries, where the model had 4 attentions and has 3"),
        ("[8.0,12.0,12.0,5.0]", "[8.0,12.0,12.0,6.0]", "has the shape [5, 32], the configuration asks for [6, 32]"),
        ("[8.0,12.0,12.0,5.0]", "[8.0,12.0,12.0,-5.0]", "dim_head of layer 3 is -5"),
        ("[8.0,12.0,12.0,5.0]", "[8.0,12.0,12.0,1e300]", "is not a record of what BMCook pruned"),
        ("[8.0,12.0,12.0,5.0]", "[8.5,12.0,12.0,5.0]", "is not a record of what BMCook pruned"),
        (#""att":{"2":true}"#, #""att":{"4":true}"#, "removes number 4 of 4 half layers"),
        (#""att":{"2":true}"#, #""att":{"x":true}"#, "removes number x of 4 half layers"),
        (#""att":{"2":true}"#, #""att":{"1":true}"#, "disagree about the attention of layer 1"),
        (#""ffn":{"3":true}"#, #""ffn":{}"#, "disagree about the feed-forward of layer 4"),
        (#""ffn":{"3":true}"#, #""mask_modules":[[true]]"#, "one pair for each of 5 layers"),
        (#""num_heads""#, #""num_head""#, "is not a record of what BMCook pruned"),
        ("{", "[", "is not a record of what BMCook pruned"),
    ])
    func aWrongRecordIsRefused(old: String, new: String, reason: String) throws {
        var pruned = try Pruned()
        #expect(pruned.record.contains(old))
        pruned.record = pruned.record.replacing(old, with: new)
        let description = pruned.refusal()?.description ?? "accepted"
        #expect(description.contains(reason), "\(description)")
    }

    @Test func mutatedRecordsNeverCrash() throws {
        var pruned = try Pruned()
        expectMutationsNeverCrash(pruned.record, rounds: 1000) { bytes in
            pruned.record = String(decoding: bytes, as: UTF8.self)
            return pruned.refusal()
        }
    }
}
