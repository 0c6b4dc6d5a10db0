import Foundation
import GoldenSupport
import Testing

/// `generate --requests`, beams and the options that JSON names.
@Suite struct RequestsTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    @Test func answersAreThoseOfSingleRuns() throws {
        let model = try Models.shared.get().demo
        let requests: [(json: String, arguments: [String])] = [
            (#""prompt":"《登鹳雀楼》王之涣\n","greedy":true"#, ["《登鹳雀楼》王之涣\n", "--greedy"]),
            (
                #""prompt":"春","seed":5,"max_tokens":9,"top_p":0.5"#,
                ["春", "--seed", "5", "--max-tokens", "9", "--top-p", "0.5"]
            ),
            (
                #""input_ids":[6,400],"beams":3,"max_tokens":6,"n":2"#,
                ["--ids", "6,400", "--beams", "3", "--max-tokens", "6", "-n", "2"]
            ),
            (#""prompt":"白日","seed":1,"n":3,"stop":"山""#, ["白日", "--seed", "1", "-n", "3", "--stop", "山"]),
            (
                #""prompt":"山","seed":2,"repetition_penalty":1.3,"logit_bias":{"12":-5}"#,
                ["山", "--seed", "2", "--repetition-penalty", "1.3", "--logit-bias", "12=-5"]
            ),
        ]
        let path = try folder.file(requests.enumerated().map { #"{"id":"r\#($0)",\#($1.json)}"# })
        for batch in ["1", "2", "8"] {
            let run = try Leafcutter.run(
                "generate", model, "--requests", path, "--batch", batch, "--max-tokens", "20", "-q")
            #expect(run.status == 0, "\(run.error)")
            let answers = try run.objects
            #expect(answers.count == requests.count)
            for answer in answers {
                let id = try #require(answer["id"] as? String)
                let index = try #require(Int(id.dropFirst()))
                let alone = try Leafcutter.run(
                    ["generate", model, "--max-tokens", "20", "--json", "-q"] + requests[index].arguments)
                #expect(answer["ids"] as? [Int] == alone.json?["ids"] as? [Int], "\(id), batch \(batch)")
                #expect(answer["text"] as? String == alone.json?["text"] as? String)
                let choices = (answer["choices"] as? [[String: Any]])?.map { $0["ids"] as? [Int] }
                #expect(choices == (alone.json?["choices"] as? [[String: Any]])?.map { $0["ids"] as? [Int] })
            }
        }
    }

    @Test func everyOptionHasItsNameInJSON() throws {
        let model = try Models.shared.get().demo
        let line = #"""
            {"id":7,"prompt":"春","max_tokens":3,"greedy":false,"temperature":0.8,"top_p":0.8,"top_k":9,"min_p":0.01,\#
            "seed":18446744073709551615,"repetition_penalty":1.1,"repetition_window":4,"frequency_penalty":0.1,\#
            "presence_penalty":0.1,"no_repeat_ngram":3,"logit_bias":{"5":1},"allow_empty":true,"eos_id":7,"n":2,\#
            "stop":["，"],"task":2,"segment":2,"logprobs":1,"compat":"cpm-live","length_penalty":1,"early_stopping":false}
            """#
        let run = try Leafcutter.run(
            "generate", model, "--requests", try folder.file([line, "", #"{"prompt":"山"}"#]), "-q")
        #expect(run.status == 0, "\(run.error)")
        let ids = Set(try run.objects.map { $0["id"] as? Int })
        // A request without an id is called by its line.
        #expect(ids == [7, 3])
    }

    @Test func linesThatMakeNoSenseAreRefusedBeforeAnythingRuns() throws {
        let model = try Models.shared.get().demo
        let good = #"{"id":1,"prompt":"春"}"#
        let cases: [(String, String)] = [
            ("nonsense", "not valid JSON"),
            ("[1]", "right kind"),
            (#"{"id":1}"#, "'prompt' or 'input_ids' is missing"),
            (#"{"prompt":"a","input_ids":[6]}"#, "not both"),
            (#"{"prompt":"a","greedy":true,"beams":2}"#, "not both"),
            (#"{"prompt":"a","max_token":3}"#, "'max_token'"),
            (#"{"prompt":"a","max_tokens":"3"}"#, "'max_tokens'"),
            (#"{"prompt":"a","max_tokens":0}"#, "max-tokens 0"),
            (#"{"prompt":"a","max_tokens":1.5}"#, "'max_tokens'"),
            (#"{"prompt":"a","seed":-1}"#, "'seed'"),
            (#"{"prompt":"a","compat":"other"}"#, "transformers"),
            (#"{"prompt":"a","logit_bias":{"x":1}}"#, "'x'"),
            (#"{"prompt":"a","n":0}"#, "0 texts"),
            (#"{"prompt":"a","n":4,"beams":3}"#, "3 beams"),
            (#"{"input_ids":[6,99999]}"#, "99999"),
            (#"{"input_ids":[]}"#, "no ids"),
            (#"{"prompt":"a","task":32}"#, "32"),
            (#"{"id":1.5,"prompt":"a"}"#, "'id'"),
        ]
        for (line, part) in cases {
            let run = try Leafcutter.run("generate", model, "--requests", try folder.file([good, line]))
            #expect(run.status == 2, "\(line): \(run.error)")
            #expect(run.output.isEmpty)
            #expect(run.error.contains(", line 2: ") && run.error.contains(part), "\(line): \(run.error)")
            #expect(run.error.split(separator: "\n").count == 1)
        }
    }

    @Test func optionsThatContradictEachOther() throws {
        let model = try Models.shared.get().demo
        let path = try folder.file([#"{"prompt":"春"}"#])
        let cases: [([String], Int32, String)] = [
            (["春", "--greedy", "--beams", "2"], 2, "not both"),
            (["春", "-n", "4", "--beams", "3"], 2, "3 beams"),
            (["春", "--beams", "0"], 2, "beams 0"),
            (["春", "--logit-bias", "x"], 2, "--logit-bias x"),
            (["春", "--logit-bias", "40000=1"], 2, "40000"),
            (["春", "--compat", "gpt"], 2, "transformers"),
            (["春", "--requests", path], 2, "not both"),
            (["--requests", path, "--batch", "0"], 2, "--batch 0"),
            (["--requests", folder.path("none.jsonl")], 1, "none.jsonl"),
            (["--requests", try folder.file([""])], 2, "no requests"),
            (["--requests", path, "--memory", "1MiB"], 3, "needs at least"),
        ]
        for (arguments, status, part) in cases {
            let run = try Leafcutter.run(["generate", model] + arguments)
            #expect(run.status == status, "\(arguments): \(run.error)")
            #expect(run.output.isEmpty)
            #expect(run.error.contains(part), "\(arguments): \(run.error)")
        }
    }

    @Test func aTightBudgetRunsFewerAtATime() throws {
        let model = try Models.shared.get().demo
        let path = try folder.file((0..<6).map { #"{"id":\#($0),"prompt":"春","seed":\#($0),"max_tokens":40}"# })
        let smallest = try Leafcutter.smallestBudget(["generate", model, "--requests", path])
        let tight = try Leafcutter.run("generate", model, "--requests", path, "--memory", "\(smallest)MiB", "-q")
        let roomy = try Leafcutter.run("generate", model, "--requests", path, "--memory", "1GiB", "-q")
        #expect(tight.status == 0, "\(tight.error)")
        func texts(_ run: Leafcutter.Run) throws -> [Int: [Int]] {
            try run.objects.reduce(into: [:]) { $0[$1["id"] as? Int ?? -1] = $1["ids"] as? [Int] }
        }
        #expect(try texts(tight) == texts(roomy))
        #expect(try texts(roomy).count == 6)
    }

    @Test func beamsGiveTheBestTextsWithTheirScores() throws {
        struct Recorded: Decodable {
            struct Case: Decodable {
                let id: String
                let inputIds: [[Int]]
                let newIds: [[Int]]
            }
            let cases: [Case]
        }
        let path = folder.path("a.leaf")
        try Models.convert(Golden.model("ant-tiny-a").appending(path: "hf").path, to: path, weights: "f32")
        let recorded = try Golden.decode(Recorded.self, "models/ant-tiny-a/golden/generate.json")
        let expected = try #require(recorded.cases.first { $0.id == "p0.live_beam3" })
        let run = try Leafcutter.run(
            "generate", path, "--ids", expected.inputIds[0].map { "\($0)" }.joined(separator: ","), "--beams", "3",
            "--max-tokens", "32", "-n", "2", "--json", "-q")
        #expect(run.json?["ids"] as? [Int] == expected.newIds[0])
        let choices = try #require(run.json?["choices"] as? [[String: Any]])
        #expect(choices.count == 2)
        let scores = try choices.map { try #require($0["score"] as? Double) }
        #expect(scores[0] > scores[1])
        #expect(run.json?["score"] as? Double == scores[0])
    }

    @Test func longPromptsRunWithAWarning() throws {
        let model = try Models.shared.get().demo
        let ids = (["6"] + Array(repeating: "400", count: 1100)).joined(separator: ",")
        let run = try Leafcutter.run(
            "generate", model, "--ids", ids, "--max-tokens", "2", "--greedy", "--json", "-q")
        #expect(run.status == 0)
        #expect(run.error.hasPrefix("warning: the prompt has 11"), "\(run.error)")
        #expect(run.error.contains("1024"))
    }

    @Test func promptsOfNothingRunWithAWarningThatNamesTheLine() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run(
            "generate", model, "--requests", try folder.file([#"{"prompt":"春"}"#, #"{"prompt":"😀"}"#]), "--max-tokens",
            "2",
            "-q")
        #expect(run.status == 0)
        #expect(run.error.hasPrefix("warning: ") && run.error.contains(", line 2: nothing of the prompt"))
    }

    @Test func interruptionAnswersWhatHasBegun() throws {
        let model = try Models.shared.get().demo
        // The first answer shows that the others are under way.
        let requests = try folder.file(
            (0..<4).map { #"{"id":\#($0),"prompt":"春","eos_id":0,"max_tokens":\#($0 == 0 ? 2 : 30000)}"# })
        let run = try Leafcutter.shell(
            """
            # Else the shell lets background jobs ignore SIGINT.
            set -m
            folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
            "$0" generate "$1" --requests "$2" --batch 2 > "$folder/answers" 2> "$folder/facts" &
            program=$!
            until [ -s "$folder/answers" ] || ! kill -0 $program; do sleep 0.05; done
            kill -INT $program; wait $program; echo "status $?" >&2; cat "$folder/answers"
            """, model, requests)
        #expect(run.error.hasSuffix("status 130\n"))
        let answers = try run.objects
        // The one beside the first had come as far; the last may not have begun.
        #expect(Set(answers.map { $0["id"] as? Int }).isSuperset(of: [0, 1]))
        #expect(answers.allSatisfy { ($0["ids"] as? [Int])?.isEmpty == false })
        let reasons = answers.map { ($0["id"] as? Int == 0) == ($0["finish_reason"] as? String == "length") }
        #expect(reasons.allSatisfy { $0 })
    }
}
