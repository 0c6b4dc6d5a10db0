import Foundation
import GoldenSupport
import Testing

/// `fill`, and `generate --suffix`.
@Suite struct FillTests {
    /// What transformers computed without a cache.
    private struct Example: Decodable {
        let text: String
        let inputIds: [Int]
        let blankPositions: [Int]
        let blankIds: [Int]
        let pieces: [Piece]

        enum Piece: Decodable {
            case text(String)
            case blank(Int)

            init(from decoder: any Decoder) throws {
                let value = try decoder.singleValueContainer()
                self =
                    if let length = try? value.decode(Int.self) { .blank(length) } else {
                        .text(try value.decode(String.self))
                    }
            }
        }

        /// With `<blank:n>`, or `<blank>`.
        func marked(open: Bool = false) -> String {
            pieces.map { piece in
                switch piece {
                case .text(let text): text
                case .blank(let length): open ? "<blank>" : "<blank:\(length)>"
                }
            }.joined()
        }
    }

    private static let poem = "《静夜思》李白\n床前<blank:1>光，疑是地上霜，\n举头望明月，低头思<blank:1>。"

    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func examples() throws -> [Example] {
        struct Examples: Decodable { let infilling: [Example] }
        return try Golden.decode(Examples.self, at: Golden.demoModel.appending(path: "examples.json")).infilling
    }

    @Test func theDemoModelsExamplesAreFilledAsTransformersDoes() throws {
        let models = try Models.shared.get()
        for example in try examples() {
            for model in [models.exactDemo, models.demo] {
                let run = try Leafcutter.run(["fill", model, example.marked(), "--json", "-q"])
                #expect(run.status == 0, "\(run.error)")
                let json = try #require(run.json)
                #expect(json["text"] as? String == example.text)
                var ids = example.inputIds
                for (position, id) in zip(example.blankPositions, example.blankIds) { ids[position] = id }
                #expect(json["ids"] as? [Int] == ids)
                let blanks = try #require(json["blanks"] as? [[String: Any]])
                #expect(blanks.flatMap { $0["ids"] as? [Int] ?? [] } == example.blankIds)
                for blank in blanks {
                    #expect(example.blankPositions.contains(try #require(blank["start"] as? Int)))
                    #expect(try #require(blank["logprob"] as? Double) < 0)
                    #expect(example.text.contains(try #require(blank["text"] as? String)))
                }
                for part in ["timing", "memory", "io"] { #expect(json[part] is [String: Any]) }
            }
        }
    }

    /// What is found for each length from 1 on, in a text that begins and ends like this.
    private func fixed(_ before: String, _ after: String, upTo longest: Int) throws -> [(text: String, mean: Double)] {
        let lines = (1...longest).map { #"{"id":\#($0),"text":\#(Self.quoted("\(before)<blank:\($0)>\(after)"))}"# }
        let run = try Leafcutter.run(
            "fill", try Models.shared.get().demo, "--requests", try folder.file(lines), "--batch", "\(longest)", "-q")
        var found: [Int: (text: String, mean: Double)] = [:]
        for json in try run.objects {
            let blank = try #require((json["blanks"] as? [[String: Any]])?.first)
            let length = try #require(json["id"] as? Int)
            let logprob = try #require(blank["logprob"] as? Double)
            found[length] = (try #require(blank["text"] as? String), logprob / Double(length))
        }
        return try (1...longest).map { try #require(found[$0]) }
    }

    private func best(_ before: String, _ after: String, upTo longest: Int) throws -> String {
        try #require(try fixed(before, after, upTo: longest).max { $0.mean < $1.mean }).text
    }

    @Test func anOpenBlankHasTheLengthOfTheBestMean() throws {
        let model = try Models.shared.get().demo
        for (before, after) in [
            ("《登鹳雀楼》王之涣\n白日依山尽，", "。\n欲穷千里目，更上一层楼。"), ("山<blank", ">水"), ("春", ""), ("", "春"),
        ] {
            let run = try Leafcutter.run("fill", model, "\(before)<blank>\(after)", "--max-blank", "6", "-q")
            #expect(run.text == before + (try best(before, after, upTo: 6)) + after + "\n", "\(run.error)")
        }
    }

    @Test func theTextMayComeFromStandardInput() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run(["fill", model, "-"], input: Self.poem)
        #expect(run.text == (try examples())[1].text + "\n")
        #expect(run.error.hasPrefix("2 tokens of 1 request in "), "\(run.error)")
    }

    @Test func beamsAndSamplesFillToo() throws {
        let model = try Models.shared.get().demo
        let beams = try Leafcutter.run("fill", model, Self.poem, "--beams", "3", "-q")
        #expect(beams.text == (try examples())[1].text + "\n", "\(beams.error)")
        let drawn = ["fill", model, "春<blank:5>。", "--temperature", "3", "--seed", "1", "-q"]
        let first = try Leafcutter.run(drawn)
        #expect(first.status == 0)
        #expect(try Leafcutter.run(drawn).text == first.text)
        let greedy = try Leafcutter.run("fill", model, "春<blank:5>。", "-q")
        #expect(first.text != greedy.text)
        #expect(try Leafcutter.run("fill", model, "春<blank:5>。", "--seed", "1", "-q").text == greedy.text)
        let unseeded = try Leafcutter.run("fill", model, "春<blank:5>。", "--sample")
        #expect(unseeded.error.contains("seed "))
    }

    @Test func manyTextsAreAnsweredByTheirIDs() throws {
        let model = try Models.shared.get().demo
        let all = try examples()
        var lines = all.enumerated().map { #"{"id":\#($0),"text":\#(Self.quoted($1.marked()))}"# }
        lines.append(#"{"id":"beams","text":\#(Self.quoted(all[0].marked())),"beams":2}"#)
        lines.append(#"{"id":"open","text":\#(Self.quoted(all[1].marked(open: true))),"max_blank":1}"#)
        lines.append(#"{"text":"山<blank:1>水","temperature":2,"seed":3}"#)
        let run = try Leafcutter.run("fill", model, "--requests", try folder.file(lines), "--batch", "3", "-q")
        #expect(run.status == 0, "\(run.error)")
        var answers: [String: String] = [:]
        for json in try run.objects {
            answers["\(try #require(json["id"]))"] = json["text"] as? String
        }
        for (index, example) in all.enumerated() { #expect(answers["\(index)"] == example.text) }
        #expect(answers["beams"] == all[0].text)
        #expect(answers["open"] == all[1].text)
        #expect(answers["6"]?.hasPrefix("山") == true)
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\n", with: "\\n") + "\""
    }

    /// One blank, of which only the text is printed.
    @Test func aSuffixIsLedTo() throws {
        let model = try Models.shared.get().demo
        let (prompt, suffix) = ("《登鹳雀楼》王之涣\n白日依山尽，", "。\n欲穷千里目，更上一层楼。")
        let arguments = ["generate", model, prompt, "--suffix", suffix, "--greedy"]
        #expect(try Leafcutter.run(arguments + ["-q"]).text == (try best(prompt, suffix, upTo: 8)) + "\n")
        let filled = try Leafcutter.run("fill", model, prompt + "<blank>" + suffix, "--json", "-q")
        let row = try #require(filled.json?["ids"] as? [Int])
        let blank = try #require((filled.json?["blanks"] as? [[String: Any]])?.first)
        let ids = try #require(blank["ids"] as? [Int])
        let json = try #require(try Leafcutter.run(arguments + ["--json", "-q", "--logprobs", "1"]).json)
        #expect(json["text"] as? String == blank["text"] as? String)
        #expect(json["ids"] as? [Int] == ids)
        #expect(json["finish_reason"] as? String == (ids.count < 8 ? "stop" : "length"))
        #expect((json["logprobs"] as? [Any])?.count == ids.count)
        #expect(json["completion_tokens"] as? Int == ids.count)
        #expect(json["prompt_tokens"] as? Int == row.count - ids.count)
        let short = try Leafcutter.run(arguments + ["--max-tokens", "1", "--json", "-q"])
        #expect(short.json?["finish_reason"] as? String == "length")
        let beams = try Leafcutter.run(arguments.dropLast() + ["--beams", "2", "--json", "-q"])
        #expect((beams.json?["choices"] as? [Any])?.count == 1)
    }

    /// The lengths come one after the other where memory is short; the text is the same, and no byte more is used.
    @Test func theSmallestBudgetGivesTheSameText() throws {
        let model = try Models.shared.get().demo
        let example = try examples()[0]
        let arguments = ["fill", model, example.marked(open: true), "--json", "-q"]
        let text = try #require(try Leafcutter.run(arguments).json?["text"] as? String)
        let least = try Leafcutter.smallestBudget(arguments)
        #expect(try Leafcutter.run(arguments + ["--memory", "\(least - 1)MiB"]).status == 3)
        for budget in [least, least + 4] {
            let json = try #require(try Leafcutter.run(arguments + ["--memory", "\(budget)MiB"]).json)
            #expect(json["text"] as? String == text)
            let memory = try #require(json["memory"] as? [String: Int])
            #expect(memory["planned"] ?? .max <= budget << 20)
            if Leafcutter.isShipped { #expect(memory["peak"] ?? .max <= budget << 20) }
        }
    }

    @Test func wrongInputEndsInOneSentence() throws {
        let model = try Models.shared.get().demo
        func requests(_ line: String) throws -> [String] { ["fill", model, "--requests", try folder.file([line])] }
        let cases: [([String], Int32, String)] = [
            (["fill", model], 2, "TEXT is missing"),
            (["fill", model, "山<blank>", "--requests", "x"], 2, "not both"),
            (["fill", folder.path("none"), "山<blank>"], 1, "no such file"),
            (["fill", model, "山水"], 2, "no blank"),
            (["fill", model, ""], 2, "no blank"),
            (["fill", model, "山<blank:0>水"], 2, "'<blank:0' is no blank"),
            (["fill", model, "山<blank:x>水"], 2, "'<blank:x' is no blank"),
            (["fill", model, "山<blank:99999>水"], 2, "1 to 4096"),
            (["fill", model, String(repeating: "<blank:1>", count: 257)], 2, "257 blanks"),
            (["fill", model, "山<blank>", "--max-blank", "0"], 2, "--max-blank 0"),
            (["fill", model, "山<blank>", "--max-blank", "9999"], 2, "--max-blank 9999"),
            (["fill", model, "山<blank>", "--greedy", "--beams", "2"], 2, "not several"),
            (["fill", model, "山<blank>", "--beams", "2", "--top-p", "0.5"], 2, "not several"),
            (["fill", model, "山<blank>", "--beams", "0"], 2, "beams 0"),
            (["fill", model, "山<blank>", "--top-p", "7"], 2, "top-p 7"),
            (["fill", model, "山<blank>", "--task", "99"], 2, "99"),
            (["fill", model, "山<blank>", "--segment", "99"], 2, "99"),
            (["fill", model, "山<blank>", "--batch", "0"], 2, "--batch 0"),
            (["fill", model, "山<blank>", "--delta", folder.path("none")], 1, "none"),
            (["fill", model, "山<blank>", "--max-blanc", "3"], 2, "did you mean --max-blank"),
            (["fill", model, "山<blank:4096>", "--memory", "64MiB"], 3, "needs at least"),
            (try requests("x"), 2, "line 1: it is not valid JSON"),
            (try requests("{}"), 2, "'text' is missing"),
            (try requests(#"{"text":"山"}"#), 2, "no blank"),
            (try requests(#"{"text":"山<blank:0>"}"#), 2, "'<blank:0' is no blank"),
            (try requests(#"{"text":7}"#), 2, "'text' is a number, where a text is wanted"),
            (try requests(#"{"text":"山<blank>","stop":"x"}"#), 2, "no option 'stop'"),
            (try requests(#"{"text":"山<blank>","nothing":1}"#), 2, "no option 'nothing'"),
            (try requests(#"{"text":"山<blank>","delta":"other"}"#), 2, "no adapter is called 'other'"),
            (try requests(#"{"text":"山<blank>","beams":2,"greedy":true}"#), 2, "not several"),
            (["generate", model, "山", "--suffix", "水", "-n", "2"], 2, "--suffix takes one prompt"),
            (["generate", model, "--ids", "6", "--suffix", "水"], 2, "--suffix takes one prompt"),
            (["generate", model, "--suffix", "水"], 2, "PROMPT is missing"),
            (["generate", model, "山", "--suffix", "水", "--stop", "x"], 2, "stop strings"),
            (["generate", model, "山", "--suffix", "水", "--compat", "transformers"], 2, "cpm-live"),
            (["generate", model, "山", "--suffix", "水", "--max-tokens", "300"], 2, "300"),
        ]
        for (arguments, status, part) in cases {
            try Leafcutter.expectRefusal(arguments, status, part)
        }
        let broken = try Leafcutter.shell(#"printf 'a<blank>\377' | "$0" fill "$1" -"#, model)
        #expect(broken.status == 1)
        #expect(broken.error == "leafcutter fill: standard input is not valid UTF-8; convert it first\n")
        let word = try Leafcutter.shell(#"exec "$0" fill "$1" "$(printf 'a<blank>\377')""#, model)
        #expect(word.status == 2)
        #expect(word.output.isEmpty)
    }

    @Test func charactersThatTheVocabularyLacksStayInTheText() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run("fill", model, "春\u{1F600}眠<blank:1>觉晓")
        #expect(run.status == 0)
        #expect(run.text.hasPrefix("春\u{1F600}眠"))
        #expect(run.text.hasSuffix("觉晓\n"))
        #expect(run.error.contains("1 character of the text"))
    }
}
