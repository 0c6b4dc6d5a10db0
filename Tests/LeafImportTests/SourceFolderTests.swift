import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

/// What people give where weights are wanted.
@Suite("what lies there") struct SourceFolderTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func copy(_ golden: String, to name: String) throws {
        let target = URL(filePath: directory.path(name))
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: Forms.path(golden), toPath: target.path)
    }

    private func write(_ text: String, to name: String) throws {
        let target = URL(filePath: directory.path(name))
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: target)
    }

    private func refusal(_ name: String = "") -> String {
        let path = name.isEmpty ? directory.url.path : directory.path(name)
        let error = failure { _ = try Conversion(path) }
        #expect(error?.kind == .badInput)
        return error?.description ?? "accepted"
    }

    @Test(arguments: ["weights.safetensors", "cpm-ant.safetensors", "model.fp32.safetensors"])
    func theOnlyFileOfWeightsIsTaken(name: String) throws {
        try copy("ant-tiny-c/hf/model.safetensors", to: name)
        try copy("ant-tiny-c/hf/config.json", to: "config.json")
        for other in ["training_args.bin", "optimizer.pt", "rng_state_0.pth", "README.md"] { try write("x", to: other) }
        let conversion = try Conversion(directory.url.path)
        #expect(try conversion.data() == Conversion(Forms.path("ant-tiny-c/hf")).data())
        #expect(conversion.result.warnings.contains { $0.hasSuffix("/\(name)") })
        try copy("ant-tiny-c/hf/model.safetensors", to: "another.safetensors")
        #expect(refusal().contains("give one of them"))
        #expect(refusal().contains("another.safetensors"))
    }

    @Test func aFolderOfCPMLiveIsTaken() throws {
        for ending in ["pt", "json"] {
            try copy("ant-tiny-a/cpm-live/ant-tiny-a.\(ending)", to: "unzipped/ant-tiny-a.\(ending)")
        }
        let expected = try Conversion(Forms.path("ant-tiny-a/cpm-live/ant-tiny-a.pt")).data()
        #expect(try Conversion(directory.path("unzipped")).data() == expected)
    }

    @Test func theSnapshotOfTheCacheIsTaken() throws {
        let cache = "models--openbmb--cpm-ant-10b"
        for file in ["model.safetensors", "config.json"] {
            try copy("ant-tiny-c/hf/\(file)", to: "\(cache)/snapshots/abc/\(file)")
        }
        let expected = try Conversion(Forms.path("ant-tiny-c/hf")).data()
        for path in [cache, "\(cache)/", "\(cache)/snapshots", "\(cache)/snapshots/abc"] {
            #expect(try Conversion(directory.path("") + "/" + path).data() == expected, "\(path)")
        }
        #expect(refusal().contains("give one of the models in it: \(cache)"))
        // Another revision: that which is called main, else none.
        for file in ["model.safetensors", "config.json"] {
            try copy("ant-tiny-a/hf/\(file)", to: "\(cache)/snapshots/abd/\(file)")
        }
        #expect(refusal(cache).contains("holds several snapshots"))
        try write("abc\n", to: "\(cache)/refs/main")
        #expect(try Conversion(directory.path(cache)).data() == expected)
        try write("../../../etc", to: "\(cache)/refs/main")
        #expect(refusal(cache).contains("holds several snapshots"))
    }

    @Test(arguments: [
        ("x/data.pkl", "x", "`zip -0 -r x.pt x`"), ("cpm-ant.zip", "", "unpack cpm-ant.zip first"),
        ("model.safetensors.crdownload", "", "model.safetensors.crdownload is a download that was not finished"),
        ("cpm-ant.pt.aria2", "", "cpm-ant.pt.aria2 is a download that was not finished"),
        ("inner/model.txt", "", "/inner was meant"), ("README.md", "", "holds none of model.safetensors"),
    ])
    func whatLiesThereInsteadIsNamed(file: String, folder: String, reason: String) throws {
        try write("x", to: file)
        let description = refusal(folder)
        #expect(description.contains("holds none of model.safetensors"))
        #expect(description.contains(reason), "\(description)")
    }

    private static let foreign: [(text: String, reason: String)] = [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 7516192768\n", "`git lfs pull`"),
        ("<!DOCTYPE html>\n<html>", "is a web page"), ("\u{FEFF}\n  <HTML lang=\"en\">", "is a web page"),
        ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", "is a web page"),
        ("{\"error\":\"Repository not found\"}", "is a JSON text"), ("GGUF\u{3}\0\0\0\0\0\0\0", "is a GGUF file"),
        (String(repeating: "\0", count: 4096), "begins with zeros"),
        ("BZh91AY&SY 1234567", "is packed by bzip2"), ("Rar!\u{1A}\u{7}\u{1}\0\0\0", "is packed by RAR"),
        (String(repeating: "a", count: 257) + "ustar\0" + "00", "is packed by tar"),
    ]

    /// For weights, an adapter, a soft prompt and a model alike.
    @Test(arguments: foreign) func filesOfOtherKindsAreNamed(text: String, reason: String) throws {
        try write(text, to: "model.safetensors")
        let path = directory.path("model.safetensors")
        #expect(refusal().contains(reason), "\(refusal())")
        let configuration = try Checkpoint(path: Forms.path("ant-tiny-c/hf"), kernels: .best).configuration
        let errors = [
            failure { _ = try AdapterFile(path: path, for: configuration) },
            failure { _ = try SoftPromptFile(path: path, for: configuration) },
            failure { _ = try CPMAntFile.open(path: path) },
        ]
        for error in errors { #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")") }
    }

    @Test(arguments: ["cpm_live/ant-tiny-a.pt", "model.safetensors", "a/b/pytorch_model.bin"], [0, 8])
    func anArchiveWithWeightsInsideIsNamed(inner: String, method: UInt16) throws {
        var archive = Archive([.init("readme", [1]), .init(inner, [UInt8](repeating: 1, count: 100))])
        archive.entries[1].method = method
        try archive.bytes.write(to: directory.path("published.zip"))
        #expect(refusal("published.zip").contains("is an archive with \(inner) inside; unzip it and give that file"))
    }

    @Test func aFolderOfAnAdapterOrASoftPromptIsTaken() throws {
        let configuration = try Checkpoint(path: Forms.path("ant-tiny-c/hf"), kernels: .best).configuration
        let tuning = Golden.root.appending(path: "tuning")
        for (name, folder) in [("best.pt", "adapter"), ("prompt.safetensors", "prompt")] {
            let target = directory.url.appending(path: folder)
            try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                at: tuning.appending(path: name), to: target.appending(path: name))
        }
        #expect(try AdapterFile(path: directory.path("adapter"), for: configuration).factors.count == 4)
        #expect(try SoftPromptFile(path: directory.path("prompt"), for: configuration).rowCount == 8)
    }
}
