import Foundation
import GoldenSupport
import Testing

/// `score`, `perplexity` and `embed`.
@Suite struct ScoringTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func lines(_ run: Leafcutter.Run) throws -> [[String: Any]] {
        #expect(run.status == 0, "\(run.error)")
        return try run.objects
    }

    /// What greedy decoding takes has rank 1 and the log-probabilities that it reports.
    @Test func aGreedyTextScoresAsItWasGenerated() throws {
        let model = try Models.shared.get().demo
        let prompt = "《登鹳雀楼》王之涣\n"
        let generated = try Leafcutter.run(
            "generate", model, prompt, "--greedy", "--max-tokens", "8", "--logprobs", "0", "--json", "-q")
        let ids = try #require(generated.json?["ids"] as? [Int])
        let logprobs = try #require(generated.json?["logprobs"] as? [[String: Any]]).map { $0["logprob"] as? Double }
        let context = try Leafcutter.run("tokenize", model, "--json", prompt)
        let contextIDs = [6] + (try #require(context.json?["ids"] as? [Int]))
        let path = try folder.file([
            #"{"id":"a","context_ids":\#(contextIDs),"target_ids":\#(ids)}"#,
            #"{"id":"b","context":"《登鹳雀楼》王之涣\n","target":"白日依山尽"}"#,
        ])
        let answers = try lines(try Leafcutter.run("score", model, "--requests", path, "-q"))
        let first = try #require(answers.first { $0["id"] as? String == "a" })
        #expect(first["ranks"] as? [Int] == ids.map { _ in 1 })
        let scored = try #require(first["token_logprobs"] as? [Double])
        #expect(scored == logprobs)
        let total = try #require(first["logprob"] as? Double)
        #expect(abs(total - scored.reduce(0, +)) < 1e-9)
        #expect(answers.count == 2)
    }

    @Test func optionsAreRankedByEachRule() throws {
        let model = try Models.shared.get().demo
        let line = #"{"id":3,"input":"《登鹳雀楼》王之涣\n","options":["白日依山尽","山尽白依日"]}"#
        let path = try folder.file([line])
        let likely = try lines(
            try Leafcutter.run("score", model, "--requests", path, "--rule", "likelihood", "-q"))[0]
        #expect(likely["id"] as? Int == 3)
        #expect(likely["choice"] as? Int == 0)
        // Without an adapter nothing has taught the judgement that the rule choice asks for.
        let usual = try lines(try Leafcutter.run("score", model, "--requests", path, "-q"))[0]
        #expect(usual["scores"] as? [Double] == likely["scores"] as? [Double])
        let scores = try #require(likely["scores"] as? [Double])
        #expect(scores.count == 2 && scores[0] > scores[1])

        // CPM-Live's rule, by the logits command: parts encoded one by one, the logit of 是 at the end.
        let chosen = try lines(
            try Leafcutter.run("score", model, "--requests", path, "--rule", "choice", "-q"))[0]
        func ids(_ text: String) throws -> [Int] {
            try #require(try Leafcutter.run("tokenize", model, "--json", text).json?["ids"] as? [Int])
        }
        let yes = try ids("是")[0]
        var expected: [Float] = []
        for option in ["白日依山尽", "山尽白依日"] {
            let row = try [6] + ids("《登鹳雀楼》王之涣\n") + ids(option) + ids("[是否正确]")
            let cases = folder.path("cases.json")
            try Data(#"{"cases":[{"id":"a","input_ids":\#(row)}]}"#.utf8).write(to: URL(filePath: cases))
            let output = folder.path("logits.safetensors")
            let run = try Leafcutter.run("logits", model, "--input", cases, "--output", output, "--last", "-q")
            #expect(run.status == 0, "\(run.error)")
            let logits = try #require(try PlainSafetensors(URL(filePath: output)).floats("a"))
            expected.append(logits[yes])
        }
        #expect((chosen["scores"] as? [Double])?.map { Float($0) } == expected)
        #expect(chosen["choice"] as? Int == (expected[0] >= expected[1] ? 0 : 1))

        let input = try folder.file([#"{"input":"《登鹳雀楼》王之涣\n白日依山尽"}"#])
        let ranked = try lines(try Leafcutter.run("score", model, "--requests", input, "--rule", "rank", "-q"))[0]
        #expect(ranked["score"] is Double)
        #expect(ranked["id"] as? Int == 1)
    }

    /// Each option of a choice is a text of its own, with the input in front.
    @Test func aWideChoicePromisesWhatItsTextsTake() throws {
        let model = try Models.shared.get().demo
        func run(_ lines: Int, _ options: Int) throws -> Leafcutter.Run {
            let input = String(repeating: "白日依山尽，", count: 12)
            let choices = Array(repeating: #""黄河""#, count: options).joined(separator: ",")
            let line = #"{"input":"\#(input)","options":[\#(choices)]}"#
            let path = try folder.file(Array(repeating: line, count: lines))
            return try Leafcutter.run("score", model, "--requests", path, "--batch", "8", "--memory", "43MiB", "-q")
        }
        // The same 256 texts, of which 16 lines may be under way.
        #expect(try run(128, 2).status == 0)
        let wide = try run(1, 256)
        #expect(wide.status == 3 && wide.error.contains("needs at least"), "\(wide.error)")
    }

    /// Windows of any shape count each token once; with one window the sum is that of `score`.
    @Test func perplexityIsTheMeanOfTheScores() throws {
        let model = try Models.shared.get().demo
        let text = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"
        let path = folder.path("poem.txt")
        try Data(text.utf8).write(to: URL(filePath: path))
        let whole = try #require(try Leafcutter.run("perplexity", model, path, "--json", "-q").json)
        let scored = try lines(
            try Leafcutter.run(
                "score", model, "--requests",
                try folder.file([#"{"context":"","target":"白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"}"#]), "-q"))[0]
        let logprobs = try #require(scored["token_logprobs"] as? [Double])
        let logprob = try #require(whole["logprob"] as? Double)
        #expect(abs(logprob - logprobs.reduce(0, +)) < 1e-9)
        #expect(whole["tokens"] as? Int == logprobs.count)
        let perplexity = try #require(whole["perplexity"] as? Double)
        #expect(abs(log(perplexity) + logprob / Double(logprobs.count)) < 1e-9)
        #expect(whole["characters"] as? Int == text.unicodeScalars.count)

        for options in [
            ["--context", "6"], ["--context", "9", "--stride", "2"], ["--context", "12", "--prefix", "4"],
        ] {
            let run = try Leafcutter.run(["perplexity", model, path, "--json", "-q"] + options)
            let skipped = options.contains("--prefix") ? 3 : 0
            #expect(run.json?["tokens"] as? Int == logprobs.count - skipped, "\(options) \(run.error)")
        }
    }

    @Test func textsBecomeVectorsInTheirOrder() throws {
        let model = try Models.shared.get().demo
        let texts = ["今天天气真好", "白日依山尽，黄河入海流", "春"]
        let together = try lines(
            try Leafcutter.run(["embed", model, "-", "-q"], input: texts.joined(separator: "\n")))
        #expect(together.count == 3)
        for (text, answer) in zip(texts, together) {
            let alone = try lines(try Leafcutter.run("embed", model, text, "-q"))[0]
            #expect(answer["embedding"] as? [Double] == alone["embedding"] as? [Double])
            #expect(answer["tokens"] as? Int == alone["tokens"] as? Int)
        }
        let mean = try #require(together[0]["embedding"] as? [Double])
        let last = try lines(try Leafcutter.run("embed", model, texts[0], "--pool", "last", "-q"))[0]
        #expect((last["embedding"] as? [Double])?.count == mean.count)
        #expect(last["embedding"] as? [Double] != mean)
    }

    @Test func longOptionsLoseNothingByTheirLength() throws {
        let model = try Models.shared.get().demo
        let options = ["白日依山尽，", "山", "山尽白依日"]
        let listed = options.map { "\"\($0)\"" }.joined(separator: ",")
        let path = try folder.file([
            #"{"id":"sum","input":"《登鹳雀楼》王之涣\n","options":[\#(listed)]}"#,
            #"{"id":"mean","input":"《登鹳雀楼》王之涣\n","options":[\#(listed)],"normalize":"length"}"#,
        ])
        let answers = try lines(try Leafcutter.run("score", model, "--requests", path, "--ordered", "-q"))
        let counts = try options.map { try #require(try tokens($0, model)) }
        let (sums, means) = try (
            #require(answers[0]["scores"] as? [Double]), #require(answers[1]["scores"] as? [Double])
        )
        for (index, count) in counts.enumerated() { #expect(means[index] == sums[index] / Double(count)) }
        // The same from the command line alone, of which the number is counted from 0.
        let words = ["score", model, "《登鹳雀楼》王之涣\n", "-q"] + options.flatMap { ["--option", $0] }
        let alone = try lines(try Leafcutter.run(words + ["--normalize", "length"]))[0]
        #expect(alone["scores"] as? [Double] == means && alone["id"] == nil)
        #expect(alone["choice"] as? Int == means.firstIndex(of: try #require(means.max())))
        let echoed = try lines(
            try Leafcutter.run("score", model, "--requests", path, "--ordered", "--echo-prompt", "-q"))
        let choice = try #require(answers[0]["choice"] as? Int)
        #expect(echoed[0]["option"] as? String == options[choice])
        #expect(echoed[0]["prompt"] as? String == "《登鹳雀楼》王之涣\n")
    }

    private func tokens(_ text: String, _ model: String) throws -> Int? {
        (try Leafcutter.run("tokenize", model, "--json", text).json?["ids"] as? [Int])?.count
    }

    @Test func aTextAloneScoresAsATargetAfterNothing() throws {
        let model = try Models.shared.get().demo
        let path = try folder.file([#"{"context":"","target":"白日依山尽"}"#])
        let wanted = try lines(try Leafcutter.run("score", model, "--requests", path, "-q"))[0]
        let list = try folder.file(["白日依山尽"])
        for words in [["白日依山尽"], ["--prompts", list]] {
            let answer = try lines(try Leafcutter.run(["score", model, "-q", "--json"] + words))[0]
            #expect(answer["token_logprobs"] as? [Double] == wanted["token_logprobs"] as? [Double])
        }
        let rank = try lines(try Leafcutter.run("score", model, "--prompts", list, "--rule", "rank", "-q"))[0]
        let input = try folder.file([#"{"input":"白日依山尽"}"#])
        let same = try lines(try Leafcutter.run("score", model, "--requests", input, "--rule", "rank", "-q"))[0]
        #expect(rank["score"] as? Double == same["score"] as? Double && rank["score"] is Double)
    }

    @Test func vectorsHaveIDsAndTextsAndALength() throws {
        let model = try Models.shared.get().demo
        let path = try folder.file([
            #"{"id":"a","text":"今天天气真好"}"#, #"{"text":"春","normalize":true}"#,
            #"{"id":"c","input_ids":[6,400,500],"pool":"none","normalize":true}"#,
        ])
        let answers = try lines(try Leafcutter.run("embed", model, "--requests", path, "--ordered", "-q"))
        let plain = try lines(try Leafcutter.run("embed", model, "今天天气真好", "-q"))[0]
        #expect(answers[0]["id"] as? String == "a" && answers[0]["text"] as? String == "今天天气真好")
        #expect(answers[0]["embedding"] as? [Double] == plain["embedding"] as? [Double])
        #expect(answers[1]["id"] as? Int == 2 && answers[2]["input_ids"] as? [Int] == [6, 400, 500])
        let spring = try #require(
            try lines(try Leafcutter.run("embed", model, "春", "-q"))[0]["embedding"] as? [Double])
        let unit = try #require(answers[1]["embedding"] as? [Double])
        let length = spring.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for (one, other) in zip(unit, spring) { #expect(abs(one - other / length) < 1e-12) }
        for vector in try #require(answers[2]["embedding"] as? [[Double]]) {
            #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-12)
        }
        // A pipe is planned for before its lines are known.
        let piped = try Leafcutter.shell(#"cat "$2" | "$0" embed "$1" --requests - -q"#, model, path)
        #expect(piped.status == 2 && piped.error.contains("line 3: 'pool' is none"), "\(piped.error)")
    }

    @Test func eachLineHasItsOwnPerplexity() throws {
        let model = try Models.shared.get().demo
        let texts = ["白日依山尽，黄河入海流。", "春眠不觉晓，处处闻啼鸟。"]
        let list = try folder.file([texts[0], "", texts[1]])
        for words in [[list], ["/dev/stdin"]] {
            let run = try Leafcutter.run(
                ["perplexity", model, "-q", "--lines", "--ordered", "--echo-prompt"] + words,
                input: texts[0] + "\n\n" + texts[1])
            let answers = try lines(run)
            #expect(answers.map { $0["id"] as? Int } == [1, 3])
            #expect(answers.map { $0["prompt"] as? String } == texts)
            for (text, answer) in zip(texts, answers) {
                let path = folder.path("one.txt")
                try Data(text.utf8).write(to: URL(filePath: path))
                let alone = try #require(try Leafcutter.run("perplexity", model, path, "--json", "-q").json)
                for key in ["perplexity", "perplexity_per_character", "logprob", "tokens", "characters"] {
                    #expect(answer[key] as? NSObject == alone[key] as? NSObject, "\(key)")
                }
            }
            #expect(run.summary != nil)
        }
        try Leafcutter.expectRefusal(
            ["perplexity", model, list, "--lines", "--context", "5"], 2, "line 1: it has")
    }

    @Test func wrongInputEndsInOneSentence() throws {
        let model = try Models.shared.get().demo
        let text = folder.path("text.txt")
        try Data("春".utf8).write(to: URL(filePath: text))
        let empty = folder.path("empty.txt")
        try Data().write(to: URL(filePath: empty))
        let broken = folder.path("broken.txt")
        try Data([0x61, 0xFF]).write(to: URL(filePath: broken))
        func score(_ line: String, _ more: String...) throws -> [String] {
            ["score", model, "--requests", try folder.file([line])] + more
        }
        let cases: [([String], Int32, String)] = [
            (["score", model], 2, "--requests"),
            (["score", model, "--requests", folder.path("none")], 1, "none"),
            (try score("x"), 2, "line 1: it is not valid JSON"),
            (try score("{}"), 2, "'input'"),
            (try score(#"{"context":"a"}"#), 2, "'target'"),
            (try score(#"{"context":"a","target":""}"#), 2, "target has no ids"),
            (try score(#"{"context_ids":[],"target":"山"}"#), 2, "context has no ids"),
            (try score(#"{"context":"a","target_ids":[99999]}"#), 2, "99999"),
            (try score(#"{"input":"a"}"#), 2, "'options'"),
            (try score(#"{"input":"a","options":[]}"#), 2, "'options'"),
            (try score(#"{"input":"a","options":["b"]}"#, "--rule", "rank"), 2, "rank"),
            (try score(#"{"input":"a","options":["b"]}"#, "--rule", "other"), 2, "choice, likelihood, rank"),
            (try score(#"{"input":"a","options":["b"]}"#, "--task", "99"), 2, "99"),
            (try score(#"{"input":"a","options":["b"]}"#, "--memory", "1MiB"), 3, "needs at least"),
            (["perplexity", model, folder.path("none")], 1, "none"),
            (["perplexity", model, empty], 2, "nothing to score"),
            (["perplexity", model, broken], 1, "UTF-8"),
            (["perplexity", model, text, "--context", "1"], 2, "--context 1"),
            (["perplexity", model, text, "--prefix", "0"], 2, "--prefix 0"),
            (["perplexity", model, text, "--stride", "900"], 2, "--stride 900"),
            (["perplexity", model, text, "--stride", "99999999999999999999"], 2, "--stride 99999999999999999999 "),
            (["perplexity", model, text, "--prefix", "99999999999999999999"], 2, "--prefix 99999999999999999999 "),
            (["perplexity", model, text, "--prefix", "9"], 2, "nothing to score"),
            (["score", model, "山", "--option", "水"], 2, "at least two"),
            (try score(#"{"input":"a","options":["b"]}"#, "--option", "水"), 2, "--option"),
            (try score(#"{"input":"a","options":["b"]}"#, "--normalize", "tokens"), 2, "length"),
            (try score(#"{"input":"a","options":["b"],"normalize":"x"}"#), 2, "'normalize'"),
            (["perplexity", model, text, "--format", "csv"], 2, "--lines"),
            (["perplexity", model, text, "--lines", "--stride", "3"], 2, "--stride"),
            (["perplexity", model, text, "--lines", "--context", "1"], 2, "--context 1"),
            (["embed", model], 2, "TEXT is missing"),
            (["embed", model, "-", "--requests", text], 2, "not both"),
            (["embed", model, "春", "--lines"], 2, "give - as the text"),
            (["embed", model, "--requests", try folder.file([#"{"text":"a","normalize":1}"#])], 2, "'normalize'"),
            (["embed", model, "a", "--ids", "6"], 2, "not both"),
            (["embed", model, "--ids", "6,99999"], 2, "99999"),
            (["embed", model, "a", "--pool", "max"], 2, "mean, last"),
            (["embed", model, "a", "--batch", "0"], 2, "--batch 0"),
        ]
        for (arguments, status, part) in cases {
            try Leafcutter.expectRefusal(arguments, status, part)
        }
    }
}
