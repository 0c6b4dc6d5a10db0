import Foundation
import GoldenSupport
import Testing

/// `--delta`, `--prompt-embedding` and `merge`.
@Suite struct TuningTests {
    private let folder: TemporaryDirectory
    private let model: String

    private static let tuning = Golden.root.appending(path: "tuning").path
    private static let source = Golden.model("ant-tiny-c/cpm-live/ant-tiny-c.pt").path
    private static let best = "\(tuning)/best.pt"

    init() throws {
        folder = try TemporaryDirectory()
        model = folder.path("model.leaf")
        try Models.convert(Self.source, to: model, weights: "f32")
    }

    private func ids(_ arguments: String...) throws -> [Int] {
        let run = try Leafcutter.run(
            ["generate", model, "--ids", "6,20,30,40", "--greedy", "--max-tokens", "12", "--json", "-q"] + arguments)
        #expect(run.status == 0, "\(run.error)")
        return try #require(run.json?["ids"] as? [Int])
    }

    @Test func aMergedModelGeneratesWhatTheAdapterDoes() throws {
        let merged = folder.path("merged.leaf")
        let run = try Leafcutter.run("merge", Self.source, "--delta", Self.best, merged, "--weights", "f32", "-q")
        #expect(run.status == 0, "\(run.error)")
        let beside = try Leafcutter.run(
            "generate", merged, "--ids", "6,20,30,40", "--greedy", "--max-tokens", "12", "--json", "-q")
        let adapted = try ids("--delta", Self.best)
        #expect(beside.json?["ids"] as? [Int] == adapted)
        #expect(try ids() != adapted)
        let inspection = try Leafcutter.run("inspect", merged)
        #expect(inspection.text.contains("best.pt"))
    }

    @Test func requestsChooseByName() throws {
        let requests = folder.path("requests.jsonl")
        let prompt = #""input_ids":[6,20,30,40],"greedy":true,"max_tokens":12"#
        let lines = [
            #"{"id":"none",\#(prompt)}"#, #"{"id":"best",\#(prompt),"delta":"best"}"#,
            #"{"id":"fine",\#(prompt),"delta":"fine"}"#, #"{"id":"prompt",\#(prompt),"prompt_embedding":"own"}"#,
        ]
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(filePath: requests))
        let run = try Leafcutter.run(
            "generate", model, "--requests", requests, "--delta", "best=\(Self.best)", "--delta",
            "fine=\(Self.tuning)/finetuned", "--prompt-embedding", "own=\(Self.tuning)/prompt.safetensors", "-q")
        #expect(run.status == 0, "\(run.error)")
        var answers: [String: [Int]] = [:]
        for answer in try run.objects {
            answers[try #require(answer["id"] as? String)] = answer["ids"] as? [Int]
        }
        #expect(try answers["none"] == ids())
        #expect(try answers["best"] == ids("--delta", Self.best))
        #expect(try answers["fine"] == ids("--delta", "\(Self.tuning)/finetuned"))
        #expect(try answers["prompt"] == ids("--prompt-embedding", "\(Self.tuning)/prompt.safetensors"))
    }

    @Test func whatNamesBeganWithIsToldToWhoeverAsks() throws {
        let shapes = ["A": [2, 48], "B": [96, 2]]
        var (header, end) = ([String: Any](), 0)
        for layer in 0..<2 {
            for (factor, shape) in shapes {
                let bytes = shape.reduce(4, *)
                let name = "module.encoder.layers.\(layer).self_att.self_attention.project_q.lora.lora_\(factor)"
                header[name] = ["dtype": "F32", "shape": shape, "data_offsets": [end, end + bytes]] as [String: Any]
                end += bytes
            }
        }
        let json = try JSONSerialization.data(withJSONObject: header)
        let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) }
        let path = folder.path("prefixed.safetensors")
        try (length + json + Data(count: end)).write(to: URL(filePath: path))
        let note = "\(path): all names begin with `module.`, which was left out"
        for (options, isTold) in [(["--verbose"], true), ([], false)] {
            let run = try Leafcutter.run(
                ["generate", model, "--ids", "6,20", "--max-tokens", "1", "--delta", path] + options)
            #expect(run.status == 0 && run.error.contains(note) == isTold, "\(run.error)")
        }
    }

    /// The same option of every command that computes.
    @Test func logitsScoresAndVectorsChange() throws {
        try Data(#"{"cases":[{"id":"a","input_ids":[6,20,30]}]}"#.utf8).write(to: URL(filePath: folder.path("c.json")))
        try Data(#"{"context_ids":[6,20],"target_ids":[30,31]}"#.utf8).write(to: URL(filePath: folder.path("s.jsonl")))
        func results(_ options: [String]) throws -> [Data] {
            let logits = try Leafcutter.run(
                ["logits", model, "--input", folder.path("c.json"), "--output", folder.path("o"), "-q"] + options)
            let score = try Leafcutter.run(["score", model, "--requests", folder.path("s.jsonl"), "-q"] + options)
            let vector = try Leafcutter.run(["embed", model, "--ids", "6,20,30", "-q"] + options)
            for run in [logits, score, vector] { #expect(run.status == 0, "\(run.error)") }
            let scored = Data(score.text.prefix { $0 != "\n" }.utf8)
            return [try Data(contentsOf: URL(filePath: folder.path("o"))), scored, vector.output]
        }
        let plain = try results([])
        for options in [["--delta", Self.best], ["--prompt-embedding", "\(Self.tuning)/prompt.safetensors"]] {
            for (one, other) in zip(plain, try results(options)) { #expect(one != other) }
        }
    }

    /// An adapter's thousands of numbers are 32-bit floats, and stay in memory.
    @Test func plansAndBenchmarksCountAdapters() throws {
        func plan(_ options: [String]) throws -> Int {
            let run = try Leafcutter.run(
                ["plan", model, "--memory", "192MiB", "--context", "32", "--disk-rate", "1GB", "--json", "-q"] + options
            )
            let parts = try #require(run.json?["parts"] as? [String: Any], "\(run.error)")
            return try #require(parts["resident"] as? Int)
        }
        let adapter = ["--delta", "poems=\(Self.best)"]
        let bytes = 4 * 1024 * 4
        #expect(try plan(adapter) - plan([]) > bytes)
        func bench(_ options: [String]) throws -> Int {
            let run = try Leafcutter.run(
                [
                    "bench", model, "--memory", "192MiB", "--prompt", "4", "--generate", "2", "--repeat", "1", "--json",
                    "-q",
                ]
                    + options)
            let runs = try #require(run.json?["runs"] as? [[String: Any]], "\(run.error)")
            return try #require(runs.first?["planned"] as? Int)
        }
        #expect(try bench(["--delta", Self.best]) - bench([]) > bytes)
    }

    @Test(arguments: [
        (["--delta", "none.pt"], 1, "none.pt"), (["--delta", "=x"], 2, "a name and a file"),
        (["--delta-alpha", "8"], 2, "--delta FILE"), (["--delta", best, "--delta", best], 2, "no name"),
        (["--delta", best, "--delta-alpha", "-1"], 2, "--delta-alpha -1 is not a number above 0"),
        (["--delta", "\(tuning)/prompts.pt"], 1, "no LoRA"),
        (["--delta", source], 1, "no LoRA"), (["--prompt-embedding", best], 1, "soft prompt"),
    ])
    func badInputIsRefused(arguments: [String], status: Int, reason: String) throws {
        let run = try Leafcutter.run(["generate", model, "--ids", "6"] + arguments)
        #expect(run.status == status && run.error.contains(reason), "\(run.error)")
    }

    @Test func aFileWithTheSignInItsNameIsTaken() throws {
        let folder = try TemporaryDirectory()
        try FileManager.default.copyItem(atPath: Self.best, toPath: folder.path("lr=0.1.pt"))
        let run = try Leafcutter.shell(
            #"cd "$1" && "$0" generate "$2" --ids 6 --max-tokens 1 --greedy -q --delta lr=0.1.pt"#, folder.url.path,
            model)
        #expect(run.status == 0, "\(run.error)")
    }

    @Test func mergeNeedsAnAdapter() throws {
        let run = try Leafcutter.run("merge", Self.source, folder.path("m.leaf"))
        #expect(run.status == 2 && run.error.contains("--delta"))
    }
}
