import Foundation
import GoldenSupport
import Testing

/// What people ask about memory, and what the answers say.
@Suite struct BudgetQuestionTests {
    private let model: String
    private let folder: TemporaryDirectory

    init() throws {
        model = try Models.shared.get().demo
        folder = try TemporaryDirectory()
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

    @Test func aTargetThatNothingReachesNamesTheBest() throws {
        let run = try plan("--target", "1ms", "--json", "-q")
        #expect(run.status == 3)
        #expect(run.json?["reached"] as? Bool == false)
        let best = try #require(run.json?["best"] as? [String: Any])
        #expect(try #require(best["seconds_per_token"] as? Double) > 0.001)
        #expect(run.error.contains("no memory gives a token in 1.0 ms here: the best is "), "\(run.error)")
        #expect(run.error.split(separator: "\n").count == 1)
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
        try Leafcutter.expectRefusal(["doctor", model, "--context", "0"], 2, "--context 0 is not between 1 and")
    }

    @Test func theHelpListsEveryPublishedSize() throws {
        let help = try Leafcutter.run("plan", "--help").text
        for preset in ["cpm-ant-10b", "cpm-ant-7b", "cpm-ant-3b", "cpm-ant-1b", "cpm-ant-300m", "cpm-ant-plus-10b"] {
            #expect(help.contains(preset), "\(preset)")
        }
    }
}
