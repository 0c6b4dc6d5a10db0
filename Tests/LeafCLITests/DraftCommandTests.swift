import Foundation
import GoldenSupport
import LeafSystem
import Leafcutter
import Testing

/// What guesses, as it is typed and as it is told of.
@Suite struct DraftCommandTests {
    private static let title = "《登鹳雀楼》王之涣\n"
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        (folder, model) = try Models.demoWithFolder()
    }

    @Test(arguments: [("ngrams", "ngram"), ("Off", "off"), ("aut", "auto")])
    func aWordThatIsNoFileIsSuggested(word: String, meant: String) throws {
        let run = try Leafcutter.run("generate", model, "春", "--speculate", word, "-q")
        #expect(run.status == 2 && run.error.contains("did you mean '\(meant)'?"), "\(run.error)")
        let missing = try Leafcutter.run("generate", model, "春", "--speculate", folder.path("draft.leaf"), "-q")
        #expect(missing.status == 1 && missing.error.contains("no such file"), "\(missing.error)")
    }

    @Test func whatNoNgramReadsIsRefused() throws {
        let corpus = try folder.file([Self.title])
        let requests = try folder.file([#"{"id":1,"kind":"generate","prompt":"春","max_tokens":2}"#])
        for words in [["generate", model, "春"], ["batch", model, requests, folder.path("out.jsonl")]] {
            for mode in ["off", model] {
                let run = try Leafcutter.run(words + ["--speculate", mode, "--draft-corpus", corpus, "-q"])
                #expect(run.status == 2, "\(run.error)")
                #expect(run.error.contains("use --speculate ngram or auto"), "\(run.error)")
                let shared = try Leafcutter.run(words + ["--speculate", mode, "--share-ngrams", "-q"])
                #expect(shared.status == 2 && shared.error.contains("use --speculate ngram or auto"), "\(shared.error)")
            }
        }
    }

    /// A copy of a model with fewer bits.
    private func copy(of model: String) throws -> String {
        let copy = folder.path("copy.leaf")
        let run = try Leafcutter.run("requantize", model, copy, "--weights", "q4", "-q")
        #expect(run.status == 0, "\(run.error)")
        return copy
    }

    /// The demo model's text from 160 MB, so that weights are most of what a run takes.
    private func enlarge() throws -> String {
        let configuration = ModelConfiguration(
            vocabSize: 30720, dimModel: 1024, numHeads: 8, dimHead: 64, dimFF: 640,
            layers: Array(repeating: .init(hasAttention: true, hasFeedForward: true), count: 32),
            positionBiasNumBuckets: 512, positionBiasMaxDistance: 2048, promptTypes: 32, promptLength: 32,
            segmentTypes: 32)
        var options = SynthesisOptions()
        options.smallModelPath = model
        options.calls.synchronize = { _ in 0 }
        let path = folder.path("large.leaf")
        _ = try Synthesizer(name: "test", configuration, output: path, options: options).run()
        return path
    }

    private static let machine = ["--max-read-rate", "400MB/s", "--memory", "172MiB", "-q"]

    /// A benchmark measures how often a copy is right, a plan divides the memory by that, and a text is the same in it.
    @Test func modelAndCopyShareTheMemory() throws {
        let large = try enlarge()
        let copy = try copy(of: large)
        let text = try folder.file([Self.title])
        let bench =
            ["bench", large, "--text", text, "--prompt", "12", "--generate", "20", "--repeat", "5", "--in-process"]
            + Self.machine
        let run = try Leafcutter.run(
            bench + ["--speculate", copy, "--draft-tokens", "6", "--acceptance", "0.95", "--keep-acceptance"])
        let measured = try #require(run.json, "\(run.error)")
        #expect(measured["speculation"] as? String == copy)
        #expect(try #require(measured["tokens_per_sweep"] as? Double) > 3)
        let (drafted, accepted) = (measured["drafted"] as? Int, measured["accepted"] as? Int)
        #expect(try #require(accepted) <= (try #require(drafted)))
        #expect((measured["decode_seconds_per_token"] as? [Double])?.count == 5)
        #expect(try #require(measured["peak"] as? Int) <= 172 << 20)
        let kept = try String(contentsOfFile: copy + ".acceptance", encoding: .utf8)
        #expect(kept.contains("\"accepted\":\(accepted ?? -1)"), "\(kept)")

        let plan = ["plan", large, "--context", "96", "--cores", "2", "--disk-rate", "1GB/s"] + Self.machine
        let planned = try Leafcutter.run(plan + ["--speculate", copy, "--json"])
        let json = try #require(planned.json, "\(planned.error)")
        let facts = try #require(json["speculation"] as? [String: Any])
        #expect(facts["mode"] as? String == copy)
        #expect(try #require(facts["acceptance"] as? Double) > 0.85)
        let lent = try #require(facts["lent_blocks"] as? Int)
        #expect(lent > 0)
        #expect(try #require((json["blocks"] as? [String: Int])?["pinned"]) >= lent)
        #expect(facts["draft_bytes"] as? Int == (json["parts"] as? [String: Int])?["drafts"])
        // Which is less depends on what else this machine does while it is measured.
        for name in ["seconds_per_token", "off_seconds_per_token"] {
            #expect(try #require(facts[name] as? Double) > 0, "\(name)")
        }
        #expect(facts["seconds_saved_by_one_gibibyte"] is Double)
        let report = try Leafcutter.run(plan + ["--speculate", copy]).text
        #expect(report.contains(" of 65 blocks with the model's own weights"), "\(report)")
        let least = try #require(json["minimum"] as? Int).roundedUpText
        #expect(report.contains("; the smallest budget for 96 tokens is \(least)\n"), "\(report)")
        #expect(report.contains("the same memory without drafts: "), "\(report)")

        let generate = ["generate", large, Self.title, "--greedy", "--max-tokens", "24", "--json"] + Self.machine
        let plain = try #require(try Leafcutter.run(generate + ["--speculate", "off"]).json)
        let guessed = try #require(try Leafcutter.run(generate + ["--speculate", copy]).json)
        #expect(guessed["text"] as? String == plain["text"] as? String && guessed["text"] is String)
        #expect((guessed["speculation"] as? [String: Any])?["mode"] as? String == copy)
        #expect(try #require((guessed["memory"] as? [String: Any])?["peak"] as? Int) <= 172 << 20)
    }

    /// A chance is only as good as what it was counted on.
    @Test func aPlanSaysWhereItsShareOfRightGuessesComesFrom() throws {
        let copy = try copy(of: model)
        func plan(_ words: String...) throws -> Leafcutter.Run {
            let plan = ["plan", model, "--memory", "64MiB", "--cores", "2", "--disk-rate", "100MB/s", "-q"]
            return try Leafcutter.run(plan + words)
        }
        let assumed = try plan("--speculate", copy).text
        #expect(assumed.contains("\n80 % is a careful assumption; generate, batch, serve and bench measure it with "))
        func keep(levels: Int, drafts: Int) throws {
            try KeptAcceptance.update(beside: copy) { kept in
                guard let file = try? ModelFile(path: model), let draft = try? ModelFile(path: copy) else { return }
                kept.add(of: draft, for: file, trees: 10, levels: levels, drafts: drafts, accepted: levels / 2)
            }
        }
        try keep(levels: 45, drafts: 60)
        let begun = try plan("--speculate", copy).text
        let sentence =
            "\n80 % is a careful assumption: 45 of the 64 guesses that it takes are counted in \(copy).acceptance; "
            + "generate, batch, serve and bench count more with --keep-acceptance"
        #expect(begun.contains(sentence), "\(begun)")
        let few = try #require(try plan("--speculate", copy, "--json").json?["speculation"] as? [String: Any])
        #expect(few["acceptance_from"] as? String == "assumed" && few["acceptance_guesses"] as? Int == 45)
        #expect(few["acceptance_guesses_needed"] as? Int == 64)
        #expect(few["acceptance_file"] as? String == copy + ".acceptance")
        let given = try plan("--speculate", copy, "--acceptance", "0.5").text
        #expect(given.contains("\n50 % is what --acceptance says\n"), "\(given)")
        try keep(levels: 400, drafts: 740)
        let json = try #require(try plan("--speculate", copy, "--json").json)
        let facts = try #require(json["speculation"] as? [String: Any])
        #expect(facts["acceptance_from"] as? String == "kept" && facts["acceptance_guesses"] as? Int == 445)
        #expect(facts["acceptance_file"] as? String == copy + ".acceptance")
    }

    @Test func aBenchmarkWritesATextWithAndWithoutDrafts() throws {
        let copy = try copy(of: model)
        let text = try folder.file([Self.title + "白日依山尽，"])
        let words = [
            "bench", model, "--text", text, "--prompt", "12", "--generate", "8", "--repeat", "2", "--memory", "80MiB",
            "--threads", "2", "--format", "jsonl", "-q",
        ]
        let plain = try #require(try Leafcutter.run(words + ["--in-process"]).json)
        #expect(plain["tokens_per_sweep"] as? Double == 1 && plain["speculation"] as? String == "off")
        let run = try Leafcutter.run(words + ["--speculate", copy, "--draft-tokens", "4"])
        let drafted = try #require(run.json, "\(run.error)")
        #expect(drafted["speculation"] as? String == copy)
        #expect(try #require(drafted["tokens_per_sweep"] as? Double) > 1)
        #expect(try #require(drafted["predicted_seconds_per_token"] as? Double) > 0)
        #expect(!FileManager.default.fileExists(atPath: copy + ".acceptance"))
        let table = try Leafcutter.run("bench", "--from", folder.file([run.text])).text
        #expect(table.contains("| tokens a sweep | drafts |") && table.contains("read a sweep"), "\(table)")
    }

    /// Its texts are those without drafts; who named the draft is told why there are none.
    @Test func aDamagedDraftIsAWarning() throws {
        let copy = try copy(of: model)
        let words = ["generate", model, Self.title, "--greedy", "--max-tokens", "8", "--memory", "100MiB", "-q"]
        let expected = try Leafcutter.run(words + ["--speculate", "off"])
        let file = try FileHandle(forUpdating: URL(filePath: copy))
        let size = try file.seekToEnd()
        for part in 1...4 {
            try file.seek(toOffset: size * UInt64(part) / 5)
            try file.write(contentsOf: Data("damage".utf8))
        }
        try file.close()
        let run = try Leafcutter.run(words + ["--speculate", copy, "--draft-tokens", "4"])
        #expect(run.status == 0 && run.text == expected.text, "\(run.error)")
        #expect(run.error.contains("warning: speculation is off from here on: \(copy)"), "\(run.error)")
        #expect(run.error.contains("fails its checksum"), "\(run.error)")
    }

    @Test(arguments: [["--beams", "3"], ["--compat", "transformers-uncached"]])
    func draftsTakeNoMemoryWhereNothingCanBeDrafted(_ options: [String]) throws {
        let copy = try copy(of: model)
        func plan(_ mode: String) throws -> (planned: Int, mode: String, error: String) {
            let words = ["generate", model, Self.title, "--max-tokens", "3", "--seed", "1", "--json", "-q"]
            let run = try Leafcutter.run(words + options + ["--memory", "100MiB", "--speculate", mode])
            let json = try #require(run.json, "\(run.error)")
            let planned = (json["memory"] as? [String: Any])?["planned"] as? Int
            let facts = json["speculation"] as? [String: Any]
            return (try #require(planned), facts?["mode"] as? String ?? "none", run.error)
        }
        let off = try plan("off")
        for mode in ["ngram", copy] {
            let named = try plan(mode)
            #expect(named.planned == off.planned)
            #expect(named.mode.hasPrefix("off: beams, blanks and"), "\(named.mode)")
            #expect(named.error.contains("warning: speculation is off: beams, blanks and"), "\(named.error)")
        }
        let automatic = try plan("auto")
        #expect(automatic.planned == off.planned && automatic.error.isEmpty, "\(automatic.error)")
    }

    @Test func aRecordThatCannotBeWrittenIsRefusedBeforeTheWork() throws {
        let copy = try copy(of: model)
        let run = try Leafcutter.shell(
            #"""
            flock "$2.acceptance.part" "$0" generate "$1" "\#(Self.title)" --greedy --max-tokens 8 \
                --speculate "$2" --draft-tokens 4 --keep-acceptance -q
            """#, model, copy)
        #expect(run.status == 1 && run.text.isEmpty)
        #expect(run.error.contains("\(copy).acceptance.part is in use"), "\(run.error)")
        #expect(!FileManager.default.fileExists(atPath: copy + ".acceptance"))
    }

    /// Whoever works for hours is told before, not behind it, that nothing can be kept of the work.
    @Test(arguments: [false, true]) func aRecordThatHasNoRoomIsRefusedBeforeTheWork(isThereOne: Bool) throws {
        let copy = try copy(of: model)
        let path = copy + ".acceptance"
        // A limit is one for files that take the output, too.
        func run(_ limit: String) throws -> Leafcutter.Run {
            try Leafcutter.shell(
                #"""
                (\#(limit) exec "$0" generate "$1" "\#(Self.title)" --greedy --max-tokens 8 -q \
                    --speculate "$2" --draft-tokens 4 --keep-acceptance) 2>&1 | cat >&2
                exit ${PIPESTATUS[0]}
                """#, model, copy)
        }
        if isThereOne { #expect(try run("").status == 0) }
        let before = FileManager.default.contents(atPath: path)
        #expect((before != nil) == isThereOne)
        let full = try run("ulimit -f 0;")
        #expect(full.status == 1, "\(full.status) \(full.error)")
        #expect(full.error.contains(path) && full.error.contains("`ulimit -f`"), "\(full.error)")
        #expect(full.error.split(separator: "\n").count == 1, "\(full.error)")
        #expect(FileManager.default.contents(atPath: path) == before)
        #expect(!FileManager.default.fileExists(atPath: path + ".part"))
    }

    /// Who only reads the record does without it.
    @Test func aBrokenRecordIsAWarningToWhoOnlyReadsIt() throws {
        let copy = try copy(of: model)
        try Data("{".utf8).write(to: URL(filePath: copy + ".acceptance"))
        let words = ["generate", model, Self.title, "--greedy", "--max-tokens", "4", "--speculate", copy, "-q"]
        let run = try Leafcutter.run(words)
        #expect(run.status == 0 && run.error.contains("warning: nothing is known") == true, "\(run.error)")
        let keeping = try Leafcutter.run(words + ["--keep-acceptance"])
        #expect(keeping.status == 1 && keeping.text.isEmpty && keeping.error.contains("remove it"), "\(keeping.error)")
        #expect(try String(contentsOfFile: copy + ".acceptance", encoding: .utf8) == "{")
    }

    @Test func whatCountsOrMeasuresGuessesNeedsSomethingThatGuesses() throws {
        let text = try folder.file([Self.title])
        let cases: [([String], String)] = [
            (["bench", model, "--speculate", "ngram"], "give one with --text"),
            (["bench", model, "--text", text, "--acceptance", "2"], "--acceptance 2 is not a number from 0 to 1"),
            (
                ["plan", model, "--memory", "1GiB", "--acceptance", "0.5"],
                "nothing guesses; use --speculate ngram or MODEL.leaf"
            ),
            (["generate", model, "春", "--speculate", "off", "--draft-tokens", "4"], "needs something that guesses"),
            (["bench", model, "--text", text, "--keep-acceptance"], "counts what a model guesses"),
            (["generate", model, "春", "--keep-acceptance"], "counts what a model guesses"),
        ]
        for (words, part) in cases {
            let refused = try Leafcutter.run(words + ["-q"])
            #expect(refused.status == 2 && refused.error.contains(part), "\(words): \(refused.error)")
        }
    }

    /// The poem stands in the corpus, so that n-grams guess it.
    @Test func aSummarySaysWhatDraftsCameTo() throws {
        let request = #"{"prompt":"\#(Self.title.dropLast())\n","greedy":true,"max_tokens":24}"#
        let drafting = [
            "--speculate", "ngram", "--draft-tokens", "4", "--draft-corpus",
            try folder.file(["白日依山尽，黄河入海流。", "欲穷千里目，更上一层楼。"]), "--memory", "160MiB", "-q",
        ]
        let run = try Leafcutter.run(
            ["generate", model, "--requests", try folder.file([request, request])] + drafting)
        #expect(run.status == 0, "\(run.error)")
        let each = try run.objects.map { try #require($0["speculation"] as? [String: Any]) }
        let all = try #require(run.summary?["speculation"] as? [String: Any])
        #expect(all["mode"] as? String == "ngram" && all["draft_seconds"] is Double)
        for name in ["drafted", "accepted"] {
            let counts = each.compactMap { $0[name] as? Int }
            #expect(counts.count == 2 && all[name] as? Int == counts.reduce(0, +), "\(all)")
        }
        #expect(try #require(all["accepted"] as? Int) > 0)
        // Both texts are the same, and so is what they got on average.
        #expect(try #require(all["tokens_per_sweep"] as? Double) > 1)

        let line = #"{"id":1,"kind":"generate","# + request.dropFirst()
        let batch = try Leafcutter.run(
            ["batch", model, try folder.file([line]), folder.path("out.jsonl"), "--json"] + drafting)
        let facts = try #require(batch.json?["speculation"] as? [String: Any], "\(batch.error)")
        #expect(try #require(facts["accepted"] as? Int) > 0 && Set(facts.keys) == Set(all.keys))
        // What has no drafts tells of none.
        let embedded = try Leafcutter.run("embed", model, "--requests", try folder.file([#"{"text":"春"}"#]), "-q")
        #expect(embedded.summary != nil && embedded.summary?["speculation"] == nil)
    }

    @Test func aJobSaysAtItsEndWhatDraftsCameTo() throws {
        let line = #"{"id":1,"kind":"generate","prompt":"\#(Self.title.dropLast())\n","greedy":true,"max_tokens":24}"#
        let requests = try folder.file([line])
        func run(_ options: String...) throws -> Leafcutter.Run {
            let output = folder.path("\(UUID().uuidString).jsonl")
            return try Leafcutter.run(["batch", model, requests, output, "--memory", "160MiB", "--json"] + options)
        }
        let drafted = try run("--speculate", model, "--draft-tokens", "4")
        let facts = try #require(drafted.json?["speculation"] as? [String: Any], "\(drafted.error)")
        let (right, all) = (try #require(facts["accepted"] as? Int), try #require(facts["drafted"] as? Int))
        let perSweep = try #require(facts["tokens_per_sweep"] as? Double)
        let sentence = try #require(
            drafted.error.firstMatch(
                of: /\nspeculation \((.*)\): ([0-9]+) tokens in ([0-9]+) steps of single texts, (.*)\n/),
            "\(drafted.error)")
        let (tokens, steps) = (try #require(Double(sentence.output.2)), try #require(Double(sentence.output.3)))
        #expect(sentence.output.1 == model && abs(tokens / steps - perSweep) < 1e-9)
        let rest = "\(perSweep.fixed(2)) tokens a sweep; \(right) of \(all) guessed tokens right ("
        #expect(sentence.output.4.hasPrefix(rest), "\(sentence.output.4)")
        #expect(!(try run("--speculate", model, "--draft-tokens", "4", "--quiet").error.contains("speculation")))
        #expect(!(try run("--speculate", "off").error.contains("speculation")))
    }

    /// Each poem comes eight times, three texts on a sweep.
    @Test func aJobWhoseTextsShareWhatTheySayIsTheSameAndTakesFewerSweeps() throws {
        let lines = ["登鹳雀楼》王之涣", "静夜思》李白", "将进酒》李白"].flatMap { title in
            (0..<8).map { (seed: $0, title: title) }
        }.enumerated().map { number, line in
            #"{"id":\#(number),"kind":"generate","prompt":"《\#(line.title)\n","max_tokens":40,"seed":\#(line.seed)}"#
        }
        let requests = try folder.file(lines)
        func run(_ options: [String]) throws -> (answers: Set<String>, tokensPerSweep: Double) {
            let output = folder.path("\(UUID().uuidString).jsonl")
            let run = try Leafcutter.run(
                ["batch", model, requests, output, "--batch", "3", "--memory", "64MiB", "--json", "-q"]
                    + ["--speculate", "ngram", "--draft-tokens", "6"] + options)
            let facts = try #require(run.json?["speculation"] as? [String: Any], "\(run.error)")
            let answers = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map(String.init)
            return (Set(answers), try #require(facts["tokens_per_sweep"] as? Double))
        }
        let (alone, shared) = (try run([]), try run(["--share-ngrams"]))
        #expect(shared.answers == alone.answers && shared.answers.count == lines.count)
        #expect(shared.tokensPerSweep > 1.1 * alone.tokensPerSweep, "\(shared.tokensPerSweep)")
    }
}
