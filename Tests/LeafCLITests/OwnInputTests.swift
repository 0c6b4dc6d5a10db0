import Foundation
import GoldenSupport
import Testing

/// A result never takes the place of what it is made from, by whatever name.
@Suite struct OwnInputTests {
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        folder = try TemporaryDirectory()
        model = folder.path("model.leaf")
        try FileManager.default.copyItem(atPath: Models.shared.get().demo, toPath: model)
    }

    private func file(_ name: String, _ text: String) throws -> String {
        let path = folder.path(name)
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    /// Runs what has to be refused, with all files as they were and none beside them.
    private func expectRefusal(
        _ words: [String], _ lost: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let before = try Data(contentsOf: URL(filePath: lost))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
        try Leafcutter.expectRefusal(
            words, 2, "would overwrite \(lost), which it is made from", sourceLocation: sourceLocation)
        #expect(try Data(contentsOf: URL(filePath: lost)) == before, "\(words)", sourceLocation: sourceLocation)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == names, "\(words)",
            sourceLocation: sourceLocation)
    }

    @Test func noCommandOverwritesWhatItReads() throws {
        let cases = try file("cases.json", #"{"cases":[{"id":"a","input_ids":[6,20]}]}"#)
        let items = try file("items.jsonl", #"{"input":"春","target":"眠"}"#)
        let runs = try file("runs.jsonl", #"{"name":"a","budget":5,"decode_seconds_per_token":[0.5]}"#)
        let prompts = try file("prompts.jsonl", #"{"prompt":"春","max_tokens":1}"#)
        let texts = try file("texts.jsonl", #"{"text":"床前<blank:1>光"}"#)
        let text = try file("text.txt", "白日依山尽，黄河入海流。")
        let part = try file("q4.part", "白日依山尽，黄河入海流。")
        let mirror = folder.path("mirror.leaf")
        try FileManager.default.copyItem(atPath: model, toPath: mirror)
        let commands: [(words: [String], lost: String)] = [
            (["logits", model, "--input", cases, "--output", model], model),
            (["logits", model, "--input", cases, "--output", cases], cases),
            (["logits", model, "--input", cases, "--mirror", mirror, "--output", mirror], mirror),
            (["evaluate", model, "CCPM", items, "-q", "--output", model], model),
            (["evaluate", model, "CCPM", items, "-q", "--output", items], items),
            (["bench", "--from", runs, "--output", runs], runs), (["bench", model, "--output", model], model),
            (["bench", model, "--trace", model], model), (["generate", model, "春", "-q", "--trace", model], model),
            (["generate", model, "春", "--suffix", "光", "-q", "--trace", model], model),
            (["generate", model, "--requests", prompts, "-q", "--trace", prompts], prompts),
            (["fill", model, "床前<blank:1>光", "-q", "--trace", model], model),
            (["fill", model, "--requests", texts, "-q", "--trace", texts], texts),
            (["synthesize", model, "--preset", "tiny", "--around", model, "--force"], model),
            (["requantize", model, text, "--weights", "q4", "--calibrate", text, "--force"], text),
            (["requantize", model, folder.path("q4"), "--weights", "q4", "--calibrate", part, "--force"], part),
        ]
        for command in commands { try expectRefusal(command.words, command.lost) }
    }

    /// Every command that makes a model file, and every name that it writes under.
    @Test(arguments: ["part", "journal", "products"])
    func whatIsKeptBesideAModelFileOverwritesNoSource(ending: String) throws {
        let lost = folder.path("out.\(ending)")
        func asLost(_ path: String, _ words: [String]) throws {
            try? FileManager.default.removeItem(atPath: lost)
            try FileManager.default.copyItem(atPath: path, toPath: lost)
            try expectRefusal(words + ["--force"], lost)
        }
        let out = folder.path("out")
        try asLost(model, ["requantize", lost, out, "--weights", "q4"])
        try asLost(model, ["synthesize", out, "--preset", "tiny", "--around", lost])
        try asLost(
            file("text.txt", "白日依山尽"), ["requantize", model, out, "--weights", "q4", "--calibrate", lost])
        let live = Golden.model("ant-tiny-c/cpm-live")
        let (weights, configuration) = (folder.path("m.pt"), folder.path("m.json"))
        for (from, to) in [("ant-tiny-c.pt", weights), ("ant-tiny-c.json", configuration)] {
            try FileManager.default.copyItem(atPath: live.appendingPathComponent(from).path, toPath: to)
        }
        try asLost(configuration, ["convert", weights, out, "--config", lost])
        // Weights that are called so are no whole download.
        if ending == "part" { return }
        let adapter = Golden.root.appendingPathComponent("tuning/best.pt").path
        try asLost(adapter, ["merge", weights, out, "--delta", lost])
    }

    @Test(arguments: ["part", "lock"]) func whatIsKeptBesideASessionOverwritesNoInput(ending: String) throws {
        let session = folder.path("s")
        let lost = "\(session).\(ending)"
        let words = ["春", "--greedy", "--max-tokens", "1", "--session", session, "-q"]
        try FileManager.default.copyItem(atPath: model, toPath: lost)
        try expectRefusal(["generate", lost] + words, lost)
        try expectRefusal(["generate", model] + words + ["--mirror", lost], lost)
        try expectRefusal(["generate", model] + words + ["--speculate", lost], lost)
        try FileManager.default.removeItem(atPath: lost)
        try FileManager.default.linkItem(atPath: model, toPath: lost)
        try expectRefusal(["generate", model] + words, model)
        try FileManager.default.removeItem(atPath: lost)
        let corpus = try file("s.\(ending)", "白日依山尽，黄河入海流。")
        try expectRefusal(["generate", model] + words + ["--draft-corpus", corpus], corpus)
    }

    @Test func whatIsKeptBesideADraftOverwritesNothing() throws {
        let draft = folder.path("q4.leaf")
        #expect(try Leafcutter.run("requantize", model, draft, "--weights", "q4", "-q").status == 0)
        let requests = try file("in.jsonl", #"{"id":1,"kind":"generate","prompt":"春","max_tokens":2}"#)
        let keeping = ["--speculate", draft, "--keep-acceptance", "-q"]
        for name in [draft + ".acceptance", draft + ".acceptance.part"] {
            try FileManager.default.linkItem(atPath: draft, toPath: name)
            try expectRefusal(["generate", model, "春", "--max-tokens", "2"] + keeping, draft)
            try FileManager.default.removeItem(atPath: name)
            for words in [
                ["batch", model, requests, name], ["generate", model, "春", "--trace", name],
                ["generate", model, "--requests", requests, "--trace", name],
                ["generate", model, "春", "--session", name],
            ] {
                let run = try Leafcutter.run(words + keeping)
                #expect(run.status == 2 && run.error.contains("would overwrite"), "\(words): \(run.error)")
                #expect(!FileManager.default.fileExists(atPath: name))
            }
        }
        // What is known of a draft is read, whether or not it is kept.
        let known = try file("q4.leaf.acceptance", #"{"acceptance":[]}"#)
        try expectRefusal(["generate", model, "春", "--speculate", draft, "--trace", known, "-q"], known)
        // A job reads its draft as well.
        let out = folder.path("out")
        try FileManager.default.copyItem(atPath: draft, toPath: out + ".job")
        try expectRefusal(["batch", model, requests, out, "--speculate", out + ".job", "-q"], out + ".job")
    }

    @Test func whatIsNotARunsOwnStays() throws {
        let requests = try file("in.jsonl", #"{"id":1,"kind":"generate","prompt":"春","max_tokens":2}"#)
        let out = folder.path("x")
        for (ending, words) in [
            ("part", ["requantize", model, out, "--weights", "q4"]),
            ("journal", ["requantize", model, out, "--weights", "q4"]), ("job", ["batch", model, requests, out]),
            ("part", ["generate", model, "春", "--session", out]), ("lock", ["generate", model, "春", "--session", out]),
            ("part", ["generate", model, "春", "--max-tokens", "1", "--trace", out]),
        ] {
            let taken = try file("x.\(ending)", "precious")
            let run = try Leafcutter.run(words + ["-q"])
            #expect(run.status == 2 && run.error.contains("\(taken) is there already"), "\(words): \(run.error)")
            #expect(try String(contentsOfFile: taken, encoding: .utf8) == "precious")
            try FileManager.default.removeItem(atPath: taken)
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
            #expect(!left.contains { $0.hasPrefix("x") }, "\(words): \(left)")
        }
    }

    /// A session that is whole is somebody's, and one that a killed run left is not.
    @Test func aWholeSessionIsNotTheBeginningOfAnother() throws {
        let words = ["generate", model, "春", "--seed", "1", "--eos-id", "0", "--max-tokens", "3", "-q", "--session"]
        let (session, part) = (folder.path("s"), folder.path("s.part"))
        #expect(try Leafcutter.run(words + [part]).status == 0)
        let saved = try Data(contentsOf: URL(filePath: part))
        let run = try Leafcutter.run(words + [session])
        #expect(run.status == 2 && run.error.contains("\(part) is there already"), "\(run.error)")
        #expect(try Data(contentsOf: URL(filePath: part)) == saved)
        #expect(!FileManager.default.fileExists(atPath: session + ".lock"))
        var left = saved.prefix(saved.count / 2)
        left.replaceSubrange(0..<8, with: Data(count: 8))
        try left.write(to: URL(filePath: part))
        #expect(try Leafcutter.run(words + [session]).status == 0)
        #expect(try Data(contentsOf: URL(filePath: session)) == saved)
        #expect(!FileManager.default.fileExists(atPath: part))
    }

    @Test func aFileOfACheckpointIsNoNameForTheModel() throws {
        let source = Golden.model("ant-tiny-c/cpm-live")
        let weights = folder.path("m.pt")
        let configuration = folder.path("m.json")
        for (from, to) in [("ant-tiny-c.pt", weights), ("ant-tiny-c.json", configuration)] {
            try FileManager.default.copyItem(atPath: source.appendingPathComponent(from).path, toPath: to)
        }
        let vocabulary = try file("own.txt", (0..<300).map { "token\($0)" }.joined(separator: "\n"))
        let adapter = folder.path("best.pt")
        try FileManager.default.copyItem(
            atPath: Golden.root.appendingPathComponent("tuning/best.pt").path, toPath: adapter)
        for lost in [weights, configuration] { try expectRefusal(["convert", weights, lost, "--force"], lost) }
        try expectRefusal(["convert", weights, vocabulary, "--vocab", vocabulary, "--force"], vocabulary)
        try expectRefusal(["merge", weights, "--delta", adapter, adapter, "--force"], adapter)
        // It was read to compare it with the one that was given.
        let given = try file("given.json", String(contentsOfFile: configuration, encoding: .utf8))
        try expectRefusal(["convert", weights, configuration, "--config", given, "--force"], configuration)
        let made = folder.path("small.leaf")
        try Models.convert(weights, to: made, weights: "f32")
        try expectRefusal(["generate", made, "--ids", "6,20", "--delta", adapter, "-q", "--trace", adapter], adapter)
    }

    @Test func anExportDoesNotReplaceItsModel() throws {
        for name in ["model.safetensors", "vocab.txt", "config.json"] {
            let lost = folder.path(name)
            try FileManager.default.moveItem(atPath: model, toPath: lost)
            try expectRefusal(["export", lost, folder.url.path, "--force"], lost)
            try FileManager.default.moveItem(atPath: lost, toPath: model)
        }
    }

    @Test func anotherNameOfTheSameFileIsTheSameFile() throws {
        let cases = try file("cases.json", #"{"cases":[{"id":"a","input_ids":[6,20]}]}"#)
        let (link, hard) = (folder.path("link"), folder.path("hard"))
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "model.leaf")
        try FileManager.default.linkItem(atPath: model, toPath: hard)
        for name in [link, hard, folder.url.path + "/./model.leaf"] {
            try expectRefusal(["logits", model, "--input", cases, "--output", name], model)
            try expectRefusal(["generate", name, "春", "-q", "--trace", model], name)
        }
        // What is written before it has its name would be lost as well.
        let part = folder.path("out.part")
        try FileManager.default.moveItem(atPath: cases, toPath: part)
        try expectRefusal(["logits", model, "--input", part, "--output", folder.path("out")], part)
    }

    @Test func standardInputIsAFileToo() throws {
        let prompts = try file("prompts.jsonl", #"{"prompt":"春","max_tokens":1}"# + "\n")
        for words in ["--requests -", "--requests /dev/stdin", "--requests /dev/fd/0"] {
            let run = try Leafcutter.shell(
                #""$0" generate "$1" \#(words) -q --trace "$2" < "$2""#, model, prompts)
            #expect(run.status == 2 && run.error.contains("would overwrite standard input"), "\(run.error)")
            #expect(try String(contentsOfFile: prompts, encoding: .utf8).contains("prompt"))
        }
    }

    @Test func whatIsNoFileCanBeBoth() throws {
        let cases = try file("cases.json", #"{"cases":[{"id":"a","input_ids":[6,20]}]}"#)
        let run = try Leafcutter.shell(
            #""$0" logits "$1" --input "$2" -q --output /dev/null < /dev/null"#, model, cases)
        #expect(run.status == 0, "\(run.error)")
    }
}
