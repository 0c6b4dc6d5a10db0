import Foundation
import GoldenSupport
import Testing

/// How many texts are given, and how their answers are written.
@Suite struct AnswersTests {
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        (folder, model) = try Models.demoWithFolder()
    }

    /// Commands, the field of a request that holds its text, and texts that each understands.
    private static let commands: [(words: [String], field: String, texts: [String])] = [
        (["generate", "--max-tokens", "4", "--greedy", "--seed", "1"], "prompt", ["春眠不觉晓，", "白日依山尽，", "床前明月光，"]),
        (["fill", "--seed", "1"], "text", ["床前<blank:1>光", "白日依<blank:1>尽", "春<blank:2>晓"]),
        (["embed"], "text", ["春眠不觉晓", "白日依山尽", "床前明月光"]),
    ]

    private func run(_ command: [String], _ more: [String], input: String? = nil) throws -> Leafcutter.Run {
        try Leafcutter.run([command[0], model, "-q"] + command.dropFirst() + more, input: input)
    }

    /// Without what depends on the run.
    private func plain(_ objects: [[String: Any]]) -> [NSDictionary] {
        objects.map { object in NSDictionary(dictionary: object.filter { $0.key != "timing" }) }
    }

    @Test func aPlainListGivesWhatItsObjectsGive() throws {
        for (words, field, texts) in Self.commands {
            let objects = try folder.file(
                texts.enumerated().map { #"{"id":\#($0 == 0 ? 1 : $0 + 2),"\#(field)":"\#($1)"}"# })
            let wanted = try run(words, ["--requests", objects, "--ordered"])
            #expect(wanted.status == 0, "\(wanted.error)")
            // Empty lines are passed and counted, and Windows marks files and ends lines otherwise.
            let list = folder.path("list.txt")
            try Data("\u{FEFF}\(texts[0])\r\n\n\(texts[1])\n\(texts[2])".utf8).write(to: URL(filePath: list))
            let plainList = try run(words, ["--prompts", list, "--ordered"])
            #expect(try plain(plainList.objects) == plain(wanted.objects), "\(words) \(plainList.error)")
            guard words[0] != "embed" else { continue }
            let contents = try String(contentsOfFile: list, encoding: .utf8)
            for more in [["-", "--lines"], ["--lines"], ["--prompts", "-"]] {
                let piped = try run(words, more + ["--ordered"], input: contents)
                #expect(try plain(piped.objects) == plain(wanted.objects), "\(words) \(more) \(piped.error)")
            }
        }
    }

    @Test func theFactsOfTheProcessStandOnceBehindTheAnswers() throws {
        for (words, field, texts) in Self.commands {
            let path = try folder.file(texts.map { #"{"\#(field)":"\#($0)"}"# } + [#"{"\#(field)":7}"#])
            let run = try run(words, ["--requests", path, "--skip-bad"])
            #expect(run.status == 1)
            let summary = try #require(run.summary, "\(run.text)")
            #expect(summary["requests"] as? Int == 4 && summary["failed"] as? Int == 1)
            #expect(summary["interrupted"] as? Bool == false)
            for part in ["timing", "memory", "io"] { #expect(summary[part] is [String: Any]) }
            for answer in try run.objects {
                #expect(answer["memory"] == nil && answer["io"] == nil)
                #expect((answer["timing"] as? [String: Any])?["load"] == nil)
            }
        }
        // One text has them all in its object.
        let alone = try Leafcutter.run("generate", model, "春", "--max-tokens", "2", "--json", "-q")
        #expect(alone.json?["memory"] is [String: Any] && alone.summary == nil)
    }

    /// The first is the last to be done, and no others wait for it than may be under way.
    @Test func answersComeInOrderWhereThatIsWanted() throws {
        let lines = (0..<40).map { #"{"id":\#($0),"prompt":"春","eos_id":0,"max_tokens":\#($0 == 0 ? 120 : 2)}"# }
        let path = try folder.file(lines)
        for source in [#"--requests "$2""#, #"--requests - < <(cat "$2")"#] {
            for batch in ["1", "2", "8"] {
                let options = "-q --greedy --batch \(batch)"
                let ordered = try Leafcutter.shell(
                    #""$0" generate "$1" \#(options) --ordered \#(source)"#, model, path)
                #expect(ordered.status == 0, "\(ordered.error)")
                #expect(try ordered.objects.map { $0["id"] as? Int } == Array(0..<40), "\(source) \(batch)")
                let free = try Leafcutter.shell(#""$0" generate "$1" \#(options) \#(source)"#, model, path)
                #expect(Set(try free.objects.map { $0["id"] as? Int }) == Set(0..<40))
                if batch != "1" { #expect(try free.objects.first?["id"] as? Int != 0) }
            }
        }
    }

    @Test func badLinesKeepTheirPlaceInTheOrder() throws {
        let lines = (0..<20).map { $0 % 3 == 1 ? "nonsense" : #"{"prompt":"春","max_tokens":\#(12 - $0 % 12)}"# }
        let run = try run(
            ["generate", "--greedy", "--ordered", "--skip-bad"], ["--requests", try folder.file(lines)])
        #expect(run.status == 1)
        // Nobody knows what a line that cannot be read is called.
        #expect(try run.objects.map { $0["id"] as? Int } == (1...20).map { lines[$0 - 1] == "nonsense" ? nil : $0 })
        #expect(try run.objects.map { $0["error"] != nil } == lines.map { $0 == "nonsense" })
    }

    @Test func anInterruptedRunKeepsTheOrder() throws {
        let path = try folder.file(
            (0..<3000).map { #"{"id":\#($0),"prompt":"春","eos_id":0,"max_tokens":\#($0 % 7 == 6 ? 400 : 3)}"# })
        let run = try Leafcutter.shell(
            #"""
            set -m
            "$0" generate "$1" --requests "$2" --ordered -q > "$2.out" & pid=$!
            until [ $(wc -l < "$2.out") -ge 8 ] || ! kill -0 $pid; do sleep 0.05; done
            kill -INT $pid; wait $pid; echo "status $?" >&2; cat "$2.out"
            """#, model, path)
        #expect(run.error.hasSuffix("status 130\n"), "\(run.error)")
        let ids = try run.objects.compactMap { $0["id"] as? Int }
        #expect(ids == ids.sorted() && Set(ids).count == ids.count && ids.count >= 8)
        #expect(run.summary?["interrupted"] as? Bool == true)
    }

    /// The rows of a text in RFC 4180's form.
    private func csv(_ text: String) -> [[String]] {
        var rows: [[String]] = [[""]]
        var isQuoted = false
        for scalar in text.unicodeScalars {
            let last = rows[rows.count - 1].count - 1
            switch scalar {
            // The second of two quotes inside quotes opens them again.
            case "\"":
                if !isQuoted, !rows[rows.count - 1][last].isEmpty { rows[rows.count - 1][last] += "\"" }
                isQuoted.toggle()
            case "," where !isQuoted: rows[rows.count - 1].append("")
            case "\n" where !isQuoted: rows.append([""])
            default: rows[rows.count - 1][last].unicodeScalars.append(scalar)
            }
        }
        return rows.dropLast()
    }

    private func tsv(_ text: String) -> [[String]] {
        text.split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map { cell in
                cell.split(separator: "\\\\", omittingEmptySubsequences: false).map {
                    $0.replacing("\\t", with: "\t").replacing("\\n", with: "\n").replacing("\\r", with: "\r")
                }.joined(separator: "\\")
            }
        }
    }

    @Test func tablesHoldWhatTheObjectsHold() throws {
        let prompts = ["《静夜思》李白\n", "a,\"b\"\tc\\n\\\r,", "春眠不觉晓，"]
        let quoted = try prompts.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
        let lines = quoted.map { #"{"prompt":\#($0)}"# } + ["x", #"{"id":"ids","input_ids":[6,400]}"#]
        let words = ["generate", "--greedy", "--seed", "3", "--skip-bad", "--ordered", "--echo-prompt"]
        let path = try folder.file(lines)
        let objects = try run(words, ["--requests", path]).objects
        let columns = ["id", "prompt", "text", "finish_reason", "seed", "error"]
        let wanted = objects.map { object in
            columns.map { name in
                if name == "prompt", let ids = object["input_ids"] as? [Int] {
                    return ids.map(String.init).joined(separator: " ")
                }
                return object[name].map { $0 is NSNull ? "" : "\($0)" } ?? ""
            }
        }
        #expect(wanted.map { $0[1] } == prompts + ["", "6 400"])
        #expect(wanted[3][5].hasPrefix("line 4: "))
        for (format, read) in [("csv", csv), ("tsv", tsv)] {
            let run = try run(words, ["--requests", path, "--format", format])
            #expect(run.status == 1)
            #expect(read(run.text) == [columns] + wanted, "\(format): \(run.text)")
        }
    }

    @Test func eachOfSeveralTextsHasARow() throws {
        let words = ["generate", "--seed", "1", "-n", "3", "--max-tokens", "5"]
        let path = try folder.file([#"{"id":"a","prompt":"春"}"#])
        let choices = try #require(try run(words, ["--requests", path]).objects[0]["choices"] as? [[String: Any]])
        let rows = csv(try run(words, ["--requests", path, "--format", "csv"]).text)
        #expect(rows.dropFirst().map { $0[1] } == choices.map { $0["text"] as? String })
        #expect(rows.dropFirst().allSatisfy { $0[0] == "a" })
    }

    @Test func linesThatMakeNoSenseAreNamedAndAPlainListIsExplained() throws {
        let list = try folder.file(["春眠不觉晓，", "白日依山尽，"])
        for command in ["generate", "fill", "score", "embed"] {
            try Leafcutter.expectRefusal([command, model, "--requests", list], 2, "line 1: it is not valid JSON")
            try Leafcutter.expectRefusal([command, model, "--requests", list], 2, "--prompts takes a plain list")
        }
        let long = try folder.file([#"{"prompt":"春"}"#, String(repeating: "a", count: 3 << 20)])
        for words in [["--requests"], ["--prompts"]] {
            try Leafcutter.expectRefusal(
                ["generate", model] + words + [long], 2, "line 2: it has 3.0 MiB and is longer than 1.0 MiB")
        }
        let broken = folder.path("broken.txt")
        try Data([0x61, 0x0A, 0xFF, 0x0A]).write(to: URL(filePath: broken))
        try Leafcutter.expectRefusal(["generate", model, "--prompts", broken], 2, "line 2: it is not valid UTF-8")
    }

    @Test func optionsOfManyTextsBelongToMany() throws {
        let list = try folder.file(["春"])
        let cases: [([String], String)] = [
            (["generate", model, "春", "--ordered"], "--ordered belongs to"),
            (["generate", model, "春", "--format", "csv"], "--format belongs to"),
            (["fill", model, "春<blank>", "--echo-prompt"], "--echo-prompt belongs to"),
            (["generate", model, "春", "--prompts", list], "not both"),
            (["generate", model, "--prompts", list, "--requests", list], "not both"),
            (["generate", model, "--prompts", list, "--lines"], "not both"),
            (["generate", model, "春", "--lines"], "give - as the text"),
            (["generate", model, "--prompts", list, "--suffix", "春"], "--suffix takes one"),
            (["generate", model, "--prompts", list, "--session", folder.path("s")], "--prompts"),
            (["generate", model, "--prompts", list, "--logprobs", "2", "--format", "tsv"], "--logprobs"),
            (["generate", model, "--prompts", list, "--format", "xml"], "jsonl, csv, tsv"),
            (["tokenize", model, "春", "--prompts", list], "not both"),
            (["tokenize", model, "春", "--lines"], "give - as the text"),
        ]
        for (arguments, part) in cases { try Leafcutter.expectRefusal(arguments, 2, part) }
    }

    @Test func simpleFormsKeepTheirMeaning() throws {
        let texts = "春眠\n\n不觉\n"
        let ids = try Leafcutter.run(["tokenize", model, "-"], input: texts)
        #expect(ids.text.split(separator: "\n", omittingEmptySubsequences: false).count == 4)
        #expect(try Leafcutter.run(["tokenize", model, "-", "--lines"], input: texts).text == ids.text)
        let list = folder.path("texts")
        try Data(texts.utf8).write(to: URL(filePath: list))
        #expect(try Leafcutter.run("tokenize", model, "--prompts", list).text == ids.text)

        let vectors = try run(["embed"], ["-"], input: texts)
        #expect(try vectors.objects.map { Set($0.keys) } == Array(repeating: ["embedding", "tokens"], count: 3))
        #expect(vectors.summary == nil)
        #expect(try run(["embed"], ["-", "--lines", "--json"], input: texts).text == vectors.text)
        // A whole text, line breaks and all.
        let whole = try Leafcutter.run(["generate", model, "-", "--greedy", "--json", "-q"], input: "春眠\n不觉")
        let same = try Leafcutter.run("generate", model, "春眠\n不觉", "--greedy", "--json", "-q")
        #expect(whole.json?["ids"] as? [Int] == same.json?["ids"] as? [Int])
        #expect(try run(["score"], ["-"], input: texts).text == run(["score"], [texts]).text)
    }
}
