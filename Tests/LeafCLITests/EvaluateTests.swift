import Foundation
import GoldenSupport
import Testing

/// `evaluate`, on made-up items in the form of each task.
@Suite struct EvaluateTests {
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        (folder, model) = try Models.demoWithFolder()
    }

    private static func data(_ task: String) -> String {
        Golden.root.appendingPathComponent("evaluation/\(task).jsonl").path
    }

    private func evaluate(
        _ task: String, _ data: String, _ options: String...
    ) throws -> (report: [String: Any], predictions: [[String: Any]]) {
        let output = folder.path("\(UUID().uuidString).jsonl")
        let run = try Leafcutter.run(
            ["evaluate", model, task, data, "--output", output, "--json", "-q"] + options)
        #expect(run.status == 0, "\(run.error)")
        return (try #require(run.json), try jsonObjects(String(contentsOfFile: output, encoding: .utf8)))
    }

    private func lines(_ task: String) throws -> [[String: Any]] {
        try jsonObjects(String(contentsOfFile: Self.data(task), encoding: .utf8))
    }

    /// Numbers and predictions are the same for every batch, in the order of the data.
    @Test(arguments: ["CCPM", "C3", "Sogou-Log", "LCSTS", "KdConv", "Math23K"])
    func companyChangesNothing(task: String) throws {
        let data = Self.data(task)
        let alone = try evaluate(task, data, "--batch", "1")
        let together = try evaluate(task.lowercased(), data, "--batch", "32")
        #expect(alone.predictions as NSArray == together.predictions as NSArray)
        #expect(alone.report["metrics"] as? NSDictionary == together.report["metrics"] as? NSDictionary)
        let sweeps = [alone, together].compactMap { ($0.report["timing"] as? [String: Any])?["sweeps"] as? Int }
        #expect(sweeps.count == 2 && sweeps[1] < sweeps[0], "\(sweeps)")
        let lines = try lines(task)
        #expect(together.report["items"] as? Int == lines.count)
        #expect(together.report["compared"] as? Int == lines.count { $0["target"] != nil })
        #expect(together.predictions.count == lines.count)
        for (line, prediction) in zip(lines, together.predictions) {
            if let id = line["id"] as? NSObject { #expect(prediction["id"] as? NSObject == id) }
            #expect(prediction["target"] as? NSObject == line["target"] as? NSObject)
        }
    }

    /// Eight texts at the same time are two items of three beams, however much memory there is.
    @Test func moreMemoryIsNotAskedForWhereItChangesNothing() throws {
        let run = try Leafcutter.run("evaluate", model, "LCSTS", Self.data("LCSTS"), "--memory", "1GiB")
        #expect(run.status == 0 && !run.error.contains("more memory"), "\(run.error)")
    }

    /// The predictions of C3 and Sogou-Log are the answers of `score`, those of LCSTS the texts of `generate`.
    @Test func predictionsAreThoseOfTheOtherCommands() throws {
        let choices = try evaluate("C3", Self.data("C3")).predictions
        let scored = try jsonObjects(
            try Leafcutter.run(
                "score", model, "--requests", Self.data("C3"), "--rule", "choice", "--task", "1", "-q"
            ).text)
        for answer in choices {
            let same = try #require(scored.first { $0["id"] as? String == answer["id"] as? String })
            #expect(answer["choice"] as? Int == same["choice"] as? Int)
            #expect(answer["scores"] as? [Double] == same["scores"] as? [Double])
        }
        let ranks = try evaluate("Sogou-Log", Self.data("Sogou-Log")).predictions
        let ranked = try jsonObjects(
            try Leafcutter.run(
                "score", model, "--requests", Self.data("Sogou-Log"), "--rule", "rank", "--task", "1", "-q"
            ).text)
        for answer in ranks {
            let same = try #require(ranked.first { $0["id"] as? Int == answer["id"] as? Int })
            #expect(answer["score"] as? Double == same["score"] as? Double)
        }
        let summaries = try evaluate("LCSTS", Self.data("LCSTS")).predictions
        for (line, answer) in zip(try lines("LCSTS"), summaries) {
            let generated = try Leafcutter.run(
                "generate", model, try #require(line["input"] as? String), "--beams", "3", "--max-tokens", "50",
                "--task", "1", "--json", "-q")
            #expect(answer["text"] as? String == generated.json?["text"] as? String)
            #expect(answer["ids"] as? [Int] == generated.json?["ids"] as? [Int])
            #expect(answer["score"] as? Double == generated.json?["score"] as? Double)
        }
    }

    /// What is known of a model's answers beforehand, counted by hand.
    @Test func metricsCountTheAnswers() throws {
        let choices = try evaluate("C3", Self.data("C3")).predictions.compactMap { $0["choice"] as? Int }
        var lines = try lines("C3")
        for (index, choice) in choices.enumerated() {
            lines[index]["target"] = index == 1 ? (choice == 0 ? 1 : 0) : choice
        }
        let path = folder.path("c3.jsonl")
        let text = try lines.map { String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self) }
        try Data((text.joined(separator: "\n")).utf8).write(to: URL(filePath: path))
        let report = try evaluate("C3", path).report
        #expect((report["metrics"] as? [String: Double])?["accuracy"] == 1 - 1 / Double(choices.count))
        #expect(report["compared"] as? Int == choices.count)

        let first = try evaluate("C3", path, "--limit", "1").report
        #expect((first["metrics"] as? [String: Double]) == ["accuracy": 1])
        #expect(first["items"] as? Int == 1)
    }

    @Test func longInputsAreCutAndCounted() throws {
        let whole = try evaluate("KdConv", Self.data("KdConv"), "--max-length", "0")
        #expect(whole.report["cut"] as? Int == 0)
        let cut = try evaluate("KdConv", Self.data("KdConv"), "--max-length", "92")
        #expect(cut.report["cut"] as? Int == 3)
        #expect(cut.predictions as NSArray != whole.predictions as NSArray)
        let shown = try Leafcutter.run("evaluate", model, "KdConv", Self.data("KdConv"), "--max-length", "92")
        #expect(shown.text.contains("bleu4") && shown.text.contains("distinct2"))
        #expect(shown.error.contains("the beginning of 3 items was cut away"))
    }

    /// A file that does not fit into memory would do as well: nothing of it is kept.
    @Test func memoryDoesNotGrowWithTheData() throws {
        let line = try String(contentsOfFile: Self.data("Sogou-Log"), encoding: .utf8).split(separator: "\n")[0]
        func peak(_ count: Int) throws -> Int {
            let path = folder.path("many.jsonl")
            let padding = String(repeating: " ", count: 20_000)
            let text = Array(repeating: line + padding, count: count).joined(separator: "\n")
            try Data(text.utf8).write(to: URL(filePath: path))
            let report = try evaluate("Sogou-Log", path, "--batch", "16", "--memory", "128MiB").report
            #expect(report["items"] as? Int == count)
            return try #require((report["memory"] as? [String: Any])?["peak"] as? Int)
        }
        let few = try peak(20)
        // 20 MB of data.
        #expect(try peak(1000) < few + 4_000_000)
    }

    @Test func aPipeGivesWhatAFileGives() throws {
        let data = Self.data("KdConv")
        let file = try Leafcutter.run("evaluate", model, "KdConv", data, "--json", "-q")
        for source in ["- < <(cat \"$2\")", "<(cat \"$2\")", "/dev/stdin < <(cat \"$2\")"] {
            let pipe = try Leafcutter.shell(#""$0" evaluate "$1" KdConv \#(source) --json -q"#, model, data)
            #expect(pipe.json?["metrics"] as? NSDictionary == file.json?["metrics"] as? NSDictionary, "\(pipe.error)")
            #expect(pipe.json?["items"] as? Int == file.json?["items"] as? Int)
        }
    }

    @Test func aPipeWithoutEndIsReadAsFarAsItMayBeKept() throws {
        let endless = #"yes '{"input":"春","target":"眠"}' | "$0" evaluate "$1" CCPM - -q "#
        let refused = try Leafcutter.shell(endless + "--memory 60MiB; exit ${PIPESTATUS[1]}", model)
        #expect(refused.status == 2 && refused.output.isEmpty)
        #expect(refused.error.contains("standard input brings more than "), "\(refused.error)")
        #expect(refused.error.contains("write it to a file first"))
        let few = try Leafcutter.shell(endless + "--limit 3; exit ${PIPESTATUS[1]}", model)
        #expect(few.status == 0 && few.text.hasPrefix("CCPM, 3 items\n"), "\(few.error)")
    }

    @Test func wrongInputEndsInOneSentence() throws {
        let none = folder.path("none.jsonl")
        func file(_ line: String) throws -> String {
            let path = folder.path("\(UUID().uuidString).jsonl")
            try Data(("\n{\"input\":\"好\",\"options\":[\"一\",\"二\"],\"target\":0,\"query\":1}\n" + line).utf8)
                .write(to: URL(filePath: path))
            return path
        }
        let good = Self.data("C3")
        let cases: [([String], Int32, String)] = [
            (["C4", good], 2, "there is no task 'C4'; did you mean C3?"),
            (["cluewsc", good], 2, "there are CCPM, C3, Sogou-Log, LCSTS, KdConv, Math23K"),
            (["C3"], 2, "DATA is missing"),
            (["C3", none], 1, "none.jsonl"),
            (["C3", folder.url.path], 1, "directory"),
            (["C3", try file("{")], 2, "line 3: it is not valid JSON: a name in quotes is missing at byte 2"),
            (["Sogou-Log", try file(#"{"input":"好","query":1,"target":NaN}"#)], 2, "line 3: 'target' is no number"),
            (["C3", try file(#"{"input":"好"}"#)], 2, "line 3: 'options' is missing"),
            (["C3", try file(#"{"input":"好","options":[]}"#)], 2, "line 3: 'options' is empty"),
            (["C3", try file(#"{"input":"好","options":["一"],"target":1}"#)], 2, "line 3: 'target' 1"),
            (["C3", try file(#"{"input":"好","options":["一"],"target":"一"}"#)], 2, "'target' is no number"),
            (["Sogou-Log", try file(#"{"input":"好","target":1}"#)], 2, "line 3: 'query' is missing"),
            (["Sogou-Log", try file(#"{"input":"好","query":1,"target":-1}"#)], 2, "line 3: 'target' -1"),
            (["LCSTS", try file("{}")], 2, "line 2: 'target' is no text"),
            (["LCSTS", Self.data("LCSTS"), "--beams", "3", "--greedy"], 2, "not both"),
            (["LCSTS", Self.data("LCSTS"), "--max-tokens", "300"], 2, "leaves no room"),
            (["C3", good, "--beams", "3"], 2, "C3 generates nothing"),
            (["C3", good, "--max-length", "-1"], 2, "--max-length -1"),
            (["C3", good, "--max-length", "32"], 2, "a length of 32"),
            (["C3", good, "--limit", "0"], 2, "--limit 0"),
            (["C3", good, "--batch", "0"], 2, "--batch 0"),
            (["C3", good, "--task", "99"], 2, "99"),
            (["C3", good, "--memory", "1MiB"], 3, "needs at least"),
            (["C3", good, "--output", good], 2, "would overwrite"),
            (["C3", good, "--output", folder.path("no/where.jsonl")], 1, "where.jsonl"),
        ]
        for (words, status, part) in cases {
            try Leafcutter.expectRefusal(["evaluate", model] + words, status, part)
        }
    }

    @Test func withoutTargetsThereArePredictionsAlone() throws {
        let path = folder.path("unknown.jsonl")
        try Data(#"{"input":"好","options":["一","二"],"note":["\ud83d",-Infinity]}"#.utf8).write(to: URL(filePath: path))
        let answer = try evaluate("C3", path)
        #expect((answer.report["metrics"] as? [String: Any])?.isEmpty == true)
        #expect(answer.predictions[0]["id"] as? Int == 1)
        let run = try Leafcutter.run("evaluate", model, "C3", path)
        #expect(run.status == 2 && run.error.contains("--output"))
    }

    /// What was done before Ctrl-C is counted and written.
    @Test func anInterruptedEvaluationKeepsWhatItHas() throws {
        let line = try String(contentsOfFile: Self.data("KdConv"), encoding: .utf8).split(separator: "\n")[0]
        let path = folder.path("long.jsonl")
        try Data(Array(repeating: line, count: 400).joined(separator: "\n").utf8).write(to: URL(filePath: path))
        let output = folder.path("kept.jsonl")
        let run = try Leafcutter.shell(
            """
            # Else the shell lets background jobs ignore SIGINT.
            set -m
            "$0" evaluate "$1" KdConv "$2" --output "$3" --batch 3 --json &
            pid=$!
            until [ -s "$3.part" ] || ! kill -0 $pid; do sleep 0.02; done
            kill -INT $pid
            wait $pid
            """, model, path, output)
        #expect(run.status == 130, "\(run.error)")
        let items = try #require(run.json?["items"] as? Int)
        #expect(items < 400)
        #expect(run.error.contains("interrupted after \(items) of 400 items"))
        #expect(try jsonObjects(String(contentsOfFile: output, encoding: .utf8)).count == items)
    }
}
