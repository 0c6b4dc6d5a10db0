import Foundation
import GoldenSupport
import LeafCLI
import Leafcutter
import Testing

/// What people ask about memory, and what the answers say.
@Suite struct BudgetQuestionTests {
    private let model: String
    private let folder: TemporaryDirectory

    init() throws {
        (folder, model) = try Models.demoWithFolder()
    }

    /// A preset is planned for a disk that is slower than any processor, however busy, and that nobody has to measure.
    private func plan(_ words: String...) throws -> Leafcutter.Run {
        try Leafcutter.run(["plan", "--preset", "cpm-ant-10b", "--disk-rate", "100MB/s", "--context", "256"] + words)
    }

    @Test func aTargetIsAnsweredWithTheSmallestMemory() throws {
        let run = try plan("--target", "80s", "--json", "-q")
        let answer = try #require(run.json, "\(run.error)")
        #expect(run.status == 0 && answer["reached"] as? Bool == true)
        #expect(answer["target_seconds_per_token"] as? Double == 80)
        let predicted = try #require(answer["predicted"] as? [String: Any])
        #expect(try #require(predicted["seconds_per_token"] as? Double) <= 80)
        // 80 s are 8 GB; 9.4 GB are read with nothing kept.
        let streamed = try #require(answer["streamed_bytes_per_sweep"] as? Int)
        #expect(streamed > 7_900_000_000 && streamed <= 8_000_000_000)
        let budget = try #require(answer["budget"] as? Int)
        let text = try plan("--target", "80s", "-q").text
        #expect(text.contains("smallest memory for a token in 1 min 20 s: 1."), "\(text)")
        let smaller = try plan("--memory", "\(budget - (20 << 20))", "--json", "-q").json
        let slower = try #require(smaller?["predicted"] as? [String: Any])
        #expect(try #require(slower["seconds_per_token"] as? Double) > 80)
    }

    /// The memory that is advised is the one that is planned: no other rounding of it stands beside.
    @Test func aTargetNamesItsMemoryInOneWay() throws {
        for (words, unit) in [
            (["plan", model, "--disk-rate", "1GB/s", "--target", "10min", "-q"], "MiB"),
            (["plan", "--preset", "cpm-ant-10b", "--disk-rate", "100MB/s", "--target", "70s", "-q"], "GiB"),
        ] {
            let text = try Leafcutter.run(words).text
            let advised = try #require(text.firstMatch(of: /smallest memory for a token in .*: ([0-9.]+) ([MG]iB)\n/))
            let planned = try #require(text.firstMatch(of: /planned .* of ([0-9.]+) ([MG]iB);/), "\(text)")
            #expect(Double(advised.output.1) == Double(planned.output.1), "\(text)")
            #expect(advised.output.2 == planned.output.2 && advised.output.2 == unit, "\(text)")
        }
    }

    @Test func whatReadingAndComputingCostEachOtherIsSaidInSeconds() {
        #expect(
            DiskRate(bytesPerSecond: 1e9, costOfComputing: 0.1, costOfReading: 0.4).interference
                == "a second of reading slows computing by 0.40 s, a second of computing slows reading by 0.10 s")
        #expect(DiskRate(bytesPerSecond: 1e9).interference == "reading and computing do not slow each other down")
    }

    @Test func aTargetThatNothingReachesNamesTheBest() throws {
        let run = try plan("--target", "1ms", "--json", "-q")
        #expect(run.status == 3)
        #expect(run.json?["reached"] as? Bool == false)
        let best = try #require(run.json?["best"] as? [String: Any])
        #expect(try #require(best["seconds_per_token"] as? Double) > 0.001)
        #expect(run.error.contains("no memory gives a token in 1.0 ms here: the best is "), "\(run.error)")
        #expect(run.error.split(separator: "\n").count == 1)
        for (typed, written) in [("0.0000001ms", "0.1 ns"), ("0.01ms", "10.0 µs")] {
            let refused = try plan("--target", typed)
            #expect(refused.status == 3 && refused.error.contains("a token in \(written) here"), "\(refused.error)")
        }
        let both = ["plan", model, "--target", "1s", "--memory", "1GiB"]
        try Leafcutter.expectRefusal(both, 2, "leave out --memory")
        try Leafcutter.expectRefusal(["plan", model, "--target", "soon"], 2, "--target soon is not a time such as")
    }

    /// The context decides how much is needed, so every such sentence names it.
    @Test func whatDoesNotFitNamesTheContextAndWhatWouldFit() throws {
        for words in [
            ["plan", model, "--context", "500"], ["generate", model, "春", "--max-tokens", "460"],
            ["bench", model, "--prompt", "460"],
        ] {
            let run = try Leafcutter.run(words + ["--memory", "42MiB"])
            #expect(run.status == 3, "\(run.error)")
            let need = try #require(run.error.firstMatch(of: /needs at least ([0-9]+) MiB for ([0-9]+) tokens,/))
            let rest = /you gave 42.0 MiB, which is enough for ([0-9]+) tokens; use --memory ([0-9]+)MiB\n$/
            let offer = try #require(run.error.firstMatch(of: rest), "\(run.error)")
            #expect(need.output.1 == offer.output.2)
            let asked = try #require(Int(need.output.2))
            let fitting = try #require(Int(offer.output.1))
            #expect(fitting < asked && asked >= 490)
            func fits(_ context: Int) throws -> Bool {
                try Leafcutter.run(
                    "plan", model, "--context", "\(context)", "--memory", "42MiB", "--disk-rate", "1GB", "-q"
                ).status == 0
            }
            guard words[0] == "plan" else { continue }
            #expect(try fits(fitting))
            #expect(try !fits(fitting + 1))
        }
    }

    /// Every command that runs a model takes the budget that its first refusal names: header, vocabulary, session,
    /// requests and plan are one question.
    @Test func theFirstRefusalNamesABudgetThatWorks() throws {
        let requests = try folder.file([#"{"prompt":"春"}"#, #"{"prompt":"春眠不觉晓","max_tokens":300}"#])
        let session = folder.path("a.session")
        let begun = try Leafcutter.run("generate", model, "春", "--max-tokens", "4", "--session", session, "-q")
        #expect(begun.status == 0, "\(begun.error)")
        let inputs = try TemporaryDirectory()
        try CommandRun.makeInputs(in: inputs)
        func input(_ name: String) -> String { inputs.path(name) }
        for words in [
            ["generate", model, "春", "--max-tokens", "4"], ["generate", model, "春", "--max-tokens", "400", "-n", "4"],
            ["generate", model, "--requests", requests], ["generate", model, "--session", session],
            ["generate", model, "春", "--suffix", "光"], ["fill", model, "床前<blank:2>光", "--beams", "2"],
            ["score", model, "--requests", input("scores.jsonl")], ["perplexity", model, input("text.txt")],
            ["embed", model, "春"], ["evaluate", model, "CCPM", input("items.jsonl")],
            ["logits", model, "--input", input("cases.json"), "--output", folder.path("logits"), "--json"],
            ["batch", model, input("batch.jsonl"), folder.path("answers")],
            ["plan", model, "--disk-rate", "1GB/s"],
            ["bench", model, "--in-process", "--prompt", "4", "--generate", "2", "--repeat", "1"],
        ] {
            // The program itself, the header, and the vocabulary do not fit into these.
            for given in ["4096", "16MiB", "30MiB"] {
                let refused = try Leafcutter.run(words + ["-q", "--memory", given])
                #expect(refused.status == 3, "\(words): \(refused.error)")
                #expect(!refused.error.contains("512 tokens") || words[0] == "plan", "\(refused.error)")
                let advice = try #require(
                    refused.error.firstMatch(of: /use --memory ([0-9]+MiB)\n/), "\(refused.error)")
                if given == "30MiB" {
                    let taken = try Leafcutter.run(words + ["-q", "--memory", String(advice.output.1)])
                    #expect(taken.status == 0, "\(words), \(advice.output.1): \(taken.error)")
                } else {
                    #expect(refused.error.contains("needs at least "), "\(refused.error)")
                }
            }
        }
    }

    /// Whatever options come together: the budget that a refusal names works and a mebibyte less does not, and so does
    /// the one that is named where there is no room for drafts.
    @Test func namedBudgetsWorkForEveryMixOfOptions() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let mixes = try mixes()
        for _ in 0..<12 {
            let mix = try #require(mixes.randomElement(using: &random))
            let words = ["generate"] + mix.flatMap { $0.randomElement(using: &random) ?? [] } + ["-q", "--memory"]
            let refused = try Leafcutter.run(words + ["20MiB"])
            let advice = try #require(refused.error.firstMatch(of: /use --memory ([0-9]+)MiB\n$/), "\(refused.error)")
            var named = try #require(Int(advice.output.1))
            #expect(try Leafcutter.run(words + ["\(named - 1)MiB"]).status == 3, "\(words), seed \(seed)")
            var taken = try Leafcutter.run(words + ["\(named)MiB"])
            #expect(taken.status == 0, "\(words), \(named) MiB: \(taken.error), seed \(seed)")
            guard let room = taken.error.firstMatch(of: /.* it drafts with ([0-9]+) MiB\n/) else { continue }
            #expect(try #require(Int(room.output.1)) > named)
            named = try #require(Int(room.output.1))
            taken = try Leafcutter.run(words + ["\(named)MiB"])
            #expect(taken.status == 0 && taken.error.isEmpty, "\(words), \(named) MiB: \(taken.error), seed \(seed)")
        }
    }

    /// Of each part of a mix one variant is taken.
    private func mixes() throws -> [[[[String]]]] {
        let (copy, mirror, tuned) = (folder.path("copy.leaf"), folder.path("mirror.leaf"), folder.path("tuned.leaf"))
        #expect(try Leafcutter.run("requantize", model, copy, "--weights", "q4", "-q").status == 0)
        try FileManager.default.copyItem(atPath: model, toPath: mirror)
        try Models.convert(Golden.model("ant-tiny-c/cpm-live/ant-tiny-c.pt").path, to: tuned, weights: "int8")
        func requests(_ prompt: String) throws -> [String] {
            let lines = (1...9).map { #"{\#(prompt),"max_tokens":\#($0 * 5),"n":\#(1 + $0 % 2)}"# }
            return ["--requests", try folder.file(lines)]
        }
        let corpora = try [("春眠不觉晓", 20_000), ("spring ", 90_000)].map { word, count in
            ["--speculate", "ngram", "--draft-corpus", try folder.file([String(repeating: word, count: count)])]
        }
        let drafts = [
            [], ["--speculate", "ngram"], ["--speculate", copy], ["--speculate", copy, "--draft-tokens", "3"],
        ]
        let tuning = Golden.root.appending(path: "tuning").path
        let machine = [[], ["--threads", "1"], ["--kv", "f32"], ["--io", "direct"]]
        return [
            [
                [[model]], [["春", "--max-tokens", "9", "-n", "3"], try requests(#""prompt":"春眠""#)],
                drafts + corpora, [[], ["--mirror", mirror]], machine,
            ],
            [
                [[tuned]], [["--ids", "6,20", "--max-tokens", "9", "-n", "3"], try requests(#""input_ids":[6,20]"#)],
                [[], ["--delta", tuning + "/best.pt"]],
                [[], ["--prompt-embedding", tuning + "/prompt.safetensors"]],
                [["--speculate", "ngram"], ["--speculate", tuned, "--draft-tokens", "2"]], machine,
            ],
        ]
    }

    /// The same for cases of which only the outline is read where memory is short: a long one, and many.
    @Test func theFirstRefusalOfManyCasesNamesABudgetThatWorks() throws {
        let ids = [6] + Array(repeating: 20, count: 1500)
        let note = String(repeating: "春", count: 400_000)
        let long: [String: Any] = ["cases": [["id": "a, [\\", "input_ids": ids]], "note": note]
        // The last one has the id of the first, which is refused once the model is open: nobody waits for the others.
        let short = (0..<40_000).map { ["id": "\($0 % 39_999)", "input_ids": [6]] as [String: Any] }
        for (name, cases, status) in [("long", long, Int32(0)), ("many", ["cases": short], 2)] {
            let path = folder.path(name)
            try JSONSerialization.data(withJSONObject: cases).write(to: URL(filePath: path))
            let output = folder.path("logits")
            let words = ["logits", model, "--input", path, "--output", output, "--last", "-q", "--memory"]
            let refused = try Leafcutter.run(words + ["30MiB"])
            #expect(refused.status == 3, "\(refused.error)")
            let advice = try #require(refused.error.firstMatch(of: /use --memory ([0-9]+MiB)\n/), "\(refused.error)")
            let taken = try Leafcutter.run(words + [String(advice.output.1)])
            #expect(taken.status == status, "\(name), \(advice.output.1): \(taken.error)")
        }
    }

    /// The same where the input comes but once.
    @Test(arguments: [
        (#"generate "$1" --requests -"#, "prompts.jsonl"), (#"fill "$1" --requests -"#, "blanks.jsonl"),
        (#"score "$1" --requests -"#, "scores.jsonl"), (#"embed "$1" -"#, "text.txt"),
        (#"perplexity "$1" -"#, "text.txt"), (#"evaluate "$1" CCPM -"#, "items.jsonl"),
        (#"logits "$1" --input - --output "$3""#, "cases.json"),
    ]) func theFirstRefusalOfAPipeNamesABudgetThatWorks(command: String, input: String) throws {
        let inputs = try TemporaryDirectory()
        try CommandRun.makeInputs(in: inputs)
        // More rows than the first reading has room for.
        let ids = Array(repeating: "20", count: 200).joined(separator: ",")
        let cases = #"{"cases":[{"id":"a","input_ids":[6,\#(ids)]}]}"#
        try Data(cases.utf8).write(to: URL(filePath: inputs.path("cases.json")))
        func run(_ memory: String) throws -> Leafcutter.Run {
            try Leafcutter.shell(
                #"cat "$2" | "$0" \#(command) -q --memory \#(memory)"#, model, inputs.path(input), folder.path("out"))
        }
        let refused = try run("16MiB")
        #expect(refused.status == 3, "\(refused.error)")
        let advice = try #require(refused.error.firstMatch(of: /use --memory ([0-9]+MiB)\n/), "\(refused.error)")
        let taken = try run(String(advice.output.1))
        #expect(taken.status == 0, "\(advice.output.1): \(taken.error)")
    }

    /// A context that nothing is planned by is not passed over in silence.
    @Test func aContextThatDoesNothingIsSaid() throws {
        for words in [
            ["generate", model, "春"], ["generate", model, "--ids", "6,20"], ["fill", model, "床前<blank:1>光"],
            ["embed", model, "春"], ["score", model, "春", "--option", "光", "--option", "眠"],
        ] {
            try Leafcutter.expectRefusal(
                words + ["--context", "64"], 2, "--context says how long requests of a pipe may be")
            try Leafcutter.expectRefusal(
                words + ["--skip-bad"], 2, "--skip-bad belongs to --requests, --prompts or --lines")
        }
        let requests = try folder.file([#"{"prompt":"春","max_tokens":1}"#])
        let words = ["generate", model, "--requests", requests, "--greedy", "-q"]
        let (plain, warned) = (try Leafcutter.run(words), try Leafcutter.run(words + ["--context", "64"]))
        #expect(warned.status == 0 && warned.error.hasPrefix("warning: --context is for lines from a pipe; "))
        let answers = (try plain.objects, try warned.objects)
        #expect(plain.error.isEmpty && answers.0.first?["ids"] as? [Int] == answers.1.first?["ids"] as? [Int])
        let pipe = try Leafcutter.shell(
            #"cat "$2" | "$0" generate "$1" --requests - --greedy -q --context 64"#, model, requests)
        #expect(pipe.status == 0 && pipe.error.isEmpty, "\(pipe.error)")
    }

    @Test func aPlanThatDoesNotFitSaysInJSONWhatWould() throws {
        let run = try Leafcutter.run("plan", model, "--context", "500", "--memory", "45MiB", "--json", "-q")
        #expect(run.json?["fits"] as? Bool == false && run.json?["context"] as? Int == 500)
        let longest = try #require(run.json?["max_context"] as? Int)
        #expect((1..<500).contains(longest))
    }

    @Test func sizesAbove1024MebibytesAreGibibytes() throws {
        let run = try plan("--memory", "1GiB", "--batch", "32")
        #expect(run.status == 3)
        #expect(
            run.error.contains(
                /needs at least [0-9.]+ GiB for 32 sequences of 256 tokens, .*; use --memory [0-9]+\.[0-9][0-9]GiB\n$/),
            "\(run.error)")
        let advised = String(try #require(run.error.split(separator: "--memory ").last).dropLast())
        #expect(try plan("--memory", advised, "--batch", "32", "-q").status == 0)
    }

    @Test func doctorAnswersForAContext() throws {
        func doctor(_ words: String...) throws -> [String: Any] {
            try #require(try Leafcutter.run(["doctor", model, "--json", "-q"] + words).json)
        }
        let (short, usual) = (try doctor("--context", "64"), try doctor())
        #expect(short["context"] as? Int == 64 && usual["context"] as? Int == 512)
        #expect(try #require(short["minimum"] as? Int) < #require(usual["minimum"] as? Int))
        let plan = try Leafcutter.run(
            "plan", model, "--context", "64", "--memory", "1GiB", "--disk-rate", "1GB", "--json", "-q")
        #expect(short["minimum"] as? Int == plan.json?["minimum"] as? Int)
        let text = try Leafcutter.run("doctor", model, "--context", "64", "-q").text
        #expect(text.contains("MiB for 64 tokens") && text.contains(", the smallest budget for 64 tokens"))
        try Leafcutter.expectRefusal(
            ["doctor", model, "--context", "0"], 2, "--context 0 is not a whole number from 1 to")
    }

    @Test func theHelpListsEveryPublishedSize() throws {
        let help = try Leafcutter.run("plan", "--help").text
        for preset in ["cpm-ant-10b", "cpm-ant-7b", "cpm-ant-3b", "cpm-ant-1b", "cpm-ant-300m", "cpm-ant-plus-10b"] {
            #expect(help.contains(preset), "\(preset)")
        }
    }
}
