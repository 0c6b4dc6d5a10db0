import Foundation
import GoldenSupport
import Testing

/// Requests that come one a line: from files of any size, from pipes, with lines that make no sense among them.
@Suite struct StreamingTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    /// Commands that read JSON lines, and a line that each understands.
    private static let commands: [(words: [String], line: String)] = [
        (["generate", "--max-tokens", "3", "--greedy"], #"{"id":ID,"prompt":"春眠不觉晓"}"#),
        (["fill"], #"{"id":ID,"text":"床前<blank:1>光"}"#),
        (["score"], #"{"id":ID,"context":"床前明月","target":"光"}"#),
    ]

    private func lines(_ line: String, _ count: Int) -> [String] {
        (0..<count).map { line.replacingOccurrences(of: "ID", with: "\($0)") }
    }

    /// Without what depends on the run.
    private func answers(_ run: Leafcutter.Run) throws -> [Int: String] {
        try run.objects.reduce(into: [:]) { answers, object in
            var object = object
            for name in ["timing", "memory", "io", "seed"] { object[name] = nil }
            let data = try JSONSerialization.data(withJSONObject: object, options: .sortedKeys)
            answers[object["id"] as? Int ?? -1] = String(decoding: data, as: UTF8.self)
        }
    }

    @Test func pipesGiveWhatFilesGive() throws {
        let model = try Models.shared.get().demo
        for (words, line) in Self.commands {
            let path = try folder.file(lines(line, 5))
            let file = try Leafcutter.run([words[0], model, "-q", "--requests", path] + words.dropFirst())
            #expect(file.status == 0, "\(words): \(file.error)")
            let wanted = try answers(file)
            #expect(wanted.count == 5)
            let options = words.dropFirst().joined(separator: " ")
            for source in [
                #"cat "$2" | "$0" \#(words[0]) "$1" -q \#(options) --requests -"#,
                #"cat "$2" | "$0" \#(words[0]) "$1" -q \#(options) --requests /dev/stdin"#,
                #""$0" \#(words[0]) "$1" -q \#(options) --requests <(cat "$2")"#,
                #""$0" \#(words[0]) "$1" -q \#(options) --requests - < "$2""#,
                #"mkfifo "$2.pipe"; cat "$2" > "$2.pipe" & "$0" \#(words[0]) "$1" -q \#(options) --requests "$2.pipe"; rm "$2.pipe""#,
            ] {
                let piped = try Leafcutter.shell(source, model, path)
                #expect(piped.status == 0, "\(source): \(piped.error)")
                #expect(try answers(piped) == wanted, "\(source)")
            }
        }
    }

    @Test func linesOfTextComeFromPipesToo() throws {
        let model = try Models.shared.get().demo
        let text = folder.path("text")
        try Data((0..<40).map { "床前明月光，疑是地上霜\($0)。\n" }.joined().utf8).write(to: URL(filePath: text))
        for command in ["embed $1 -q", "tokenize $1", "perplexity $1 -q --context 32"] {
            let operand = command.hasPrefix("perplexity") ? "/dev/stdin" : "-"
            let file = try Leafcutter.shell(#""$0" \#(command) \#(operand) < "$2""#, model, text)
            let pipe = try Leafcutter.shell(#"cat "$2" | "$0" \#(command) \#(operand)"#, model, text)
            #expect(file.status == 0 && pipe.status == 0, "\(file.error)\(pipe.error)")
            #expect(file.output == pipe.output && !file.output.isEmpty, "\(command)")
        }
    }

    @Test func badLinesAreAnsweredWhereThatIsAskedFor() throws {
        let model = try Models.shared.get().demo
        for (words, line) in Self.commands {
            let good = lines(line, 3)
            let bad = [
                ("nonsense", "not valid JSON"),
                (String(repeating: "[", count: 5000), "it is a list"), (#"{"id":"c"}"#, "missing"),
                ("{\"id\":\"long\",\"prompt\":\"\(String(repeating: "a", count: 2 << 20))\"}", "longer than 1.0 MiB"),
            ]
            for (text, part) in bad {
                let path = try folder.file([good[0], "\t", text, good[1], good[2]])
                // In a file it is named before anything runs.
                let refused = try Leafcutter.run([words[0], model, "-q", "--requests", path] + words.dropFirst())
                #expect(refused.status == 2 && refused.output.isEmpty)
                #expect(refused.error.contains("\(path), line 3: ") && refused.error.contains(part), "\(refused.error)")
                // From a pipe the requests before it are answered.
                let piped = try Leafcutter.shell(
                    #"cat "$2" | "$0" \#(words[0]) "$1" -q \#(words.dropFirst().joined(separator: " ")) --requests -"#,
                    model, path)
                #expect(piped.status == 2 && piped.error.contains("standard input, line 3: "), "\(piped.error)")
                #expect(Set(try answers(piped).keys) == [0])
                // And answered itself where that is asked for.
                for source in ["--requests \"$2\"", "--requests - < \"$2\"", "--requests <(cat \"$2\")"] {
                    let skipped = try Leafcutter.shell(
                        #""$0" \#(words[0]) "$1" -q --skip-bad \#(words.dropFirst().joined(separator: " ")) \#(source)"#,
                        model, path)
                    #expect(skipped.status == 1, "\(skipped.error)")
                    #expect(skipped.error.contains("1 of 4 requests failed"), "\(skipped.error)")
                    let objects = try skipped.objects
                    #expect(objects.count == 4)
                    let errors = objects.compactMap { $0["error"] as? String }
                    #expect(errors.count == 1)
                    #expect(errors.first?.hasPrefix("line 3: ") == true, "\(errors)")
                }
            }
        }
    }

    @Test func aRequestOfAPipeThatIsTooLongIsAnswered() throws {
        let model = try Models.shared.get().demo
        let long = String(repeating: "春眠不觉晓", count: 60)
        let path = try folder.file([
            #"{"id":1,"prompt":"春"}"#, #"{"id":2,"prompt":"\#(long)"}"#, #"{"id":3,"prompt":"秋"}"#,
        ])
        let run = try Leafcutter.shell(
            #"cat "$2" | "$0" generate "$1" --requests - -q --greedy --max-tokens 3 --context 100"#, model, path)
        #expect(run.status == 1, "\(run.error)")
        let objects = try run.objects
        #expect(objects.count == 3)
        let error = objects.first { $0["id"] as? Int == 2 }?["error"] as? String
        #expect(error?.contains("the model was opened for") == true, "\(objects)")
        let roomy = try Leafcutter.shell(
            #"cat "$2" | "$0" generate "$1" --requests - -q --greedy --max-tokens 3 --context 400"#, model, path)
        #expect(roomy.status == 0, "\(roomy.error)")
    }

    /// Who waits for an answer before it asks again must get it.
    @Test func aConversationThroughPipesGoesOn() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.shell(
            #"""
            coproc ant { "$0" generate "$1" --requests - -q --greedy --max-tokens 2; }
            for id in 1 2 3; do
                echo "{\"id\":$id,\"prompt\":\"春\"}" >&"${ant[1]}"
                read -t 60 -r answer <&"${ant[0]}" || exit 9
                echo "$answer"
            done
            """#, model)
        #expect(run.status == 0, "\(run.error)")
        #expect(try run.objects.compactMap { $0["id"] as? Int } == [1, 2, 3])
    }

    @Test func aLargeFileTakesNoMoreMemoryThanASmallOne() throws {
        let model = try Models.shared.get().demo
        let cases: [(String, String)] = [
            ("generate", #"{"prompt":"白日依山尽，黄河入海流。","max_tokens":1,"greedy":true}"#),
            ("score", #"{"context":"白日依山尽，","target":"黄河入海流。"}"#),
            ("fill", #"{"text":"白日依山<blank:1>，黄河入海流。"}"#),
        ]
        for (command, line) in cases {
            let path = try folder.file(Array(repeating: line, count: 60_000))
            // Long enough to read all of it once, and to begin.
            let run = try Leafcutter.shell(
                #"""
                set -m
                "$0" \#(command) "$1" --requests "$2" --memory 64MiB -q > "$2.out" & pid=$!
                until [ $(wc -l < "$2.out") -ge 20 ] || ! kill -0 $pid; do sleep 0.05; done
                grep VmHWM /proc/$pid/status
                kill -INT $pid; wait $pid; echo "status $?"
                """#, model, path)
            #expect(run.text.contains("status 130"), "\(command): \(run.text) \(run.error)")
            let peak = try #require(run.text.split(separator: " ").compactMap { Int($0) }.first)
            #expect(peak * 1024 <= 64 << 20, "\(command): \(run.text)")
        }
    }

    @Test func aLongTextIsReadWindowByWindow() throws {
        let model = try Models.shared.get().demo
        let path = folder.path("long.txt")
        try Data(String(repeating: "白日依山尽，黄河入海流。", count: 400_000).utf8).write(to: URL(filePath: path))
        for source in ["\"$2\"", "/dev/stdin < \"$2\"", "- < <(cat \"$2\")"] {
            let run = try Leafcutter.shell(
                #"""
                set -m
                "$0" perplexity "$1" --memory 128MiB --context 64 \#(source) > /dev/null & pid=$!
                sleep 3; grep VmHWM /proc/$pid/status; kill -INT $pid; wait $pid; echo "status $?"
                """#, model, path)
            #expect(run.text.contains("status 130"), "\(source): \(run.text) \(run.error)")
            let peak = try #require(run.text.split(separator: " ").compactMap { Int($0) }.first)
            #expect(peak * 1024 <= 128 << 20, "\(source): \(run.text)")
        }
        let unbroken = folder.path("unbroken.txt")
        try Data(String(repeating: "春", count: 800_000).utf8).write(to: URL(filePath: unbroken))
        try Leafcutter.expectRefusal(["perplexity", model, unbroken], 2, "without a line break")
        let prompt = try Leafcutter.shell(#"head -c 3000000 /dev/zero | tr '\0' a | "$0" generate "$1" -"#, model)
        #expect(prompt.status == 2 && prompt.error.contains("longer than 1.0 MiB"), "\(prompt.error)")
    }

    @Test func casesAndResultsComeThroughPipesToo() throws {
        let model = try Models.shared.get().demo
        let cases = folder.path("cases.json")
        let ids = (6..<400).map(String.init).joined(separator: ",")
        try Data(#"{"cases":[{"id":"a","input_ids":[6,20]},{"id":"b","input_ids":[\#(ids)]}]}"#.utf8)
            .write(to: URL(filePath: cases))
        let runs = folder.path("runs.jsonl")
        try Data(#"{"name":"a","budget":5,"decode_seconds_per_token":[0.5]}"#.utf8).write(to: URL(filePath: runs))
        for (words, path) in [("logits \(model) --last -q --input", cases), ("bench --format jsonl --from", runs)] {
            let output = folder.path("output")
            let whole = try Leafcutter.shell(#""$0" \#(words) "$1" --output "$2""#, path, output)
            #expect(whole.status == 0, "\(whole.error)")
            let wanted = try Data(contentsOf: URL(filePath: output))
            try FileManager.default.removeItem(atPath: output)
            for source in [
                #"- < "$1""#, #"- < <(cat "$1")"#, #"/dev/stdin < <(cat "$1")"#, #"<(cat "$1")"#, #"/dev/fd/9 9< "$1""#,
                #"<(for piece in $(cat "$1"); do echo "$piece"; sleep 0.2; done)"#,
            ] {
                let run = try Leafcutter.shell(#""$0" \#(words) \#(source) --output "$2""#, path, output)
                #expect(run.status == 0, "\(source): \(run.error)")
                #expect(try Data(contentsOf: URL(filePath: output)) == wanted, "\(source)")
            }
            let endless = try Leafcutter.shell(#"yes | "$0" \#(words) - --output "$1""#, folder.path("none"))
            #expect(endless.status == 1 && endless.error.contains("standard input has more than"), "\(endless.error)")
            #expect(!FileManager.default.fileExists(atPath: folder.path("none")))
        }
    }
}
