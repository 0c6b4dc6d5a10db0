import Foundation
import GoldenSupport
import Testing

/// Where results are written: nothing is ever replaced that is not a regular file.
@Suite struct OutputTests {
    private let folder: TemporaryDirectory
    private let model: String
    /// Commands that write a file, with `OUT` in its place.
    private let commands: [[String]]

    init() throws {
        (folder, model) = try Models.demoWithFolder()
        let cases = folder.path("cases.json")
        try Data(#"{"cases":[{"id":"a","input_ids":[6,20]}]}"#.utf8).write(to: URL(filePath: cases))
        let items = folder.path("items.jsonl")
        try Data(#"{"input":"春","target":"眠"}"#.utf8).write(to: URL(filePath: items))
        let runs = folder.path("runs.jsonl")
        try Data(#"{"name":"a","budget":5,"decode_seconds_per_token":[0.5]}"#.utf8).write(to: URL(filePath: runs))
        commands = [
            ["logits", model, "--input", cases, "-q", "--output", "OUT"],
            ["evaluate", model, "CCPM", items, "-q", "--output", "OUT"],
            ["bench", "--from", runs, "--format", "jsonl", "--output", "OUT"],
            ["generate", model, "春", "--max-tokens", "2", "--greedy", "-q", "--trace", "OUT"],
        ]
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/script"), "script is missing"))
    func aTextCommandsNoTerminalAndReachesAPipeUnchanged() throws {
        let script = folder.path("words.sh")
        let words = #""$PROGRAM" tokenize "$MODEL" "$(printf 'a\033[31mb\302\233c')" --words"#
        try Data(words.utf8).write(to: URL(filePath: script))
        let names = #"export PROGRAM="$0" MODEL="$1"; "#
        let pipe = try Leafcutter.shell(names + #"bash "$2""#, model, script)
        #expect(pipe.text.contains("\u{1B}") && pipe.text.contains("\u{9B}"), "\(pipe.error)")
        let terminal = try Leafcutter.shell(names + #"script -qec "bash $2" /dev/null"#, model, script)
        #expect(!terminal.text.contains("\u{1B}") && !terminal.text.contains("\u{9B}"))
        #expect(terminal.text.contains(#"\u{1b}"#) && terminal.text.contains(#"\u{9b}"#), "\(terminal.text)")
    }

    private func kind(_ path: String) throws -> FileAttributeType? {
        try FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
    }

    private func run(_ command: [String], _ output: String) throws -> Leafcutter.Run {
        try Leafcutter.run(command.map { $0 == "OUT" ? output : $0 })
    }

    /// What the command writes into a file.
    private func expected(_ command: [String]) throws -> Data {
        let path = folder.path("expected-\(command[0])")
        let whole = try run(command, path)
        #expect(whole.status == 0, "\(whole.error)")
        return try Data(contentsOf: URL(filePath: path))
    }

    @Test func linksAreFollowed() throws {
        for command in commands {
            let target = folder.path("target-\(command[0])")
            for exists in [true, false] {
                if exists { try Data("old".utf8).write(to: URL(filePath: target)) }
                let link = folder.path("link-\(command[0])-\(exists)")
                try FileManager.default.createSymbolicLink(
                    atPath: link, withDestinationPath: exists ? target : URL(filePath: target).lastPathComponent)
                let result = try run(command, link)
                #expect(result.status == 0, "\(result.error)")
                #expect(try kind(link) == .typeSymbolicLink)
                #expect(try Data(contentsOf: URL(filePath: target)).count > 10)
                try FileManager.default.removeItem(atPath: target)
            }
        }
    }

    @Test func devicesAndPipesAreWrittenStraight() throws {
        for command in commands {
            let wanted = try expected(command)
            let device = folder.path("null-\(command[0])")
            // Without the right to make devices there is nothing to lose.
            if try Leafcutter.shell(#"mknod "$1" c 1 3"#, device).status == 0 {
                #expect(try run(command, device).status == 0)
                #expect(try kind(device) == .typeCharacterSpecial)
            }
            let words = command.map { $0 == "OUT" ? "\"$1\"" : "'\($0)'" }.joined(separator: " ")
            let pipe = try Leafcutter.shell(
                #"mkfifo "$1"; cat "$1" > "$1.copy" & "$0" \#(words) > /dev/null; status=$?; wait; exit $status"#,
                folder.path("pipe-\(command[0])"))
            #expect(pipe.status == 0, "\(pipe.error)")
            #expect(try kind(folder.path("pipe-\(command[0])")) != .typeRegular)
            let copy = try Data(contentsOf: URL(filePath: folder.path("pipe-\(command[0]).copy")))
            if command[0] == "generate" { #expect(copy.count > 100) } else { #expect(copy == wanted) }
        }
    }

    @Test func standardOutputIsAFileName() throws {
        for command in commands {
            let wanted = try expected(command)
            for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
                let words = command.map { $0 == "OUT" ? name : "'\($0)'" }.joined(separator: " ")
                // What stood there before stays, and so does the device.
                let run = try Leafcutter.shell(
                    #"{ echo before; "$0" \#(words); } > "$1"; status=$?; cat "$1"; exit $status"#, folder.path("all"))
                #expect(run.status == 0, "\(run.error)")
                #expect(run.output.starts(with: Data("before\n".utf8)))
                if command[0] != "generate" { #expect(run.output.range(of: wanted) != nil, "\(command[0]) \(name)") }
            }
        }
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "/dev/stdout").hasPrefix("/proc/"))
    }

    @Test func aFileThatIsMountedIsWrittenInPlace() throws {
        let command = try #require(commands.first { $0[0] == "bench" })
        let target = folder.path("mounted")
        try Data("old".utf8).write(to: URL(filePath: target))
        let run = try Leafcutter.shell(
            #"""
            echo "old and longer than what comes" > "$1.over"
            unshare -m bash -c 'mount --bind "$1.over" "$1" || exit 77
                "$0" bench --from "$2" --format jsonl --output "$1" && cat "$1"' "$0" "$1" "$2"
            """#, target, command[2])
        // 77, or 1 where nothing may be mounted.
        guard run.status != 77, !run.error.contains("unshare") else { return }
        #expect(run.status == 0, "\(run.error)")
        #expect(run.output == (try expected(command)))
    }

    @Test func whatCanNotBeAResultIsFoundBeforeTheWork() throws {
        for command in commands {
            for (output, part) in [
                (folder.url.path, "directory"), ("/nowhere/out", "no such file"), ("/proc/out", "/proc/out"),
            ] {
                let refused = try run(command, output)
                #expect(refused.status == 1 || refused.status == 2, "\(command[0]) \(output)")
                #expect(refused.error.contains(part), "\(refused.error)")
                #expect(refused.output.isEmpty)
            }
        }
        let pipe = folder.path("pipe")
        #expect(try Leafcutter.shell(#"mkfifo "$1""#, pipe).status == 0)
        let whole: [[String]] = [
            ["synthesize", "OUT", "--preset", "tiny", "--force"],
            ["convert", Golden.demoModel.path, "OUT", "--force"],
            ["generate", model, "春", "--session", "OUT"],
        ]
        for command in whole {
            // A device is nothing that could be replaced.
            let refused = try run(command, "/dev/null")
            #expect(refused.status == 2 && refused.error.contains("no regular file"), "\(refused.error)")
            #expect(try kind("/dev/null") == .typeCharacterSpecial)
        }
    }

    @Test func modelsAndSessionsFollowLinks() throws {
        let target = folder.path("tale")
        let link = folder.path("link")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
        let words = ["generate", model, "春", "--max-tokens", "2", "--seed", "1", "-q", "--session", link]
        #expect(try Leafcutter.run(words).status == 0)
        #expect(try kind(link) == .typeSymbolicLink && kind(target) == .typeRegular)
        let leaf = folder.path("link.leaf")
        try FileManager.default.createSymbolicLink(atPath: leaf, withDestinationPath: folder.path("real.leaf"))
        #expect(try Leafcutter.run("synthesize", leaf, "--preset", "tiny", "-q").status == 0)
        #expect(try kind(leaf) == .typeSymbolicLink && kind(folder.path("real.leaf")) == .typeRegular)
    }

    /// What is meant for standard error must not be written into a result that took its number.
    @Test func closedDescriptorsTakeNothing() throws {
        for command in commands {
            let wanted = try expected(command)
            let output = folder.path("out-\(command[0])")
            let words = command.map { $0 == "OUT" ? "\"$1\"" : $0 == "-q" ? "-v" : "'\($0)'" }.joined(separator: " ")
            for closed in ["2>&-", "0<&-", "0<&- 2>&-"] {
                let run = try Leafcutter.shell(#""$0" \#(words) \#(closed)"#, output)
                #expect(run.status == 0, "\(closed): \(run.error)")
                if command[0] != "generate" {
                    #expect(try Data(contentsOf: URL(filePath: output)) == wanted, "\(command[0]) \(closed)")
                }
            }
            // A result that nobody can get is no success.
            let run = try Leafcutter.shell(#""$0" generate "$1" 春 --max-tokens 1 -q >&-"#, model)
            #expect(run.status == 1 && run.error.contains("the result is not complete"), "\(run.error)")
        }
    }

    @Test func closedInputIsCalledSo() throws {
        for words in [
            "generate \(model) -", "generate \(model) --requests -", "fill \(model) -", "score \(model) --requests -",
            "embed \(model) -", "perplexity \(model) -", "tokenize \(model)", "evaluate \(model) CCPM -",
            "generate \(model) --requests /dev/stdin",
        ] {
            let run = try Leafcutter.shell(#""$0" \#(words) -q 0<&-"#)
            #expect(run.status == 1 && run.error.contains("standard input is closed"), "\(words): \(run.error)")
            #expect(run.error.split(separator: "\n").count == 1, "\(run.error)")
        }
        // A folder that is meant is called a folder.
        let run = try Leafcutter.shell(#""$0" tokenize "$1" - < /"#, model)
        #expect(run.status == 1 && run.error.contains("is a directory"), "\(run.error)")
    }

    @Test func twoRunsDoNotWriteOneFile() throws {
        let items = folder.path("many.jsonl")
        try Data(String(repeating: #"{"input":"春","target":"眠"}"# + "\n", count: 3000).utf8).write(
            to: URL(filePath: items))
        let run = try Leafcutter.shell(
            #"""
            set -m
            "$0" evaluate "$1" LCSTS "$2" -q --output "$3" --max-read-rate 1kB/s > /dev/null & pid=$!
            until [ -e "$3.part" ] || ! kill -0 $pid; do sleep 0.05; done; sleep 0.2
            "$0" evaluate "$1" LCSTS "$2" -q --output "$3"; echo "status $?"
            kill -INT $pid; wait $pid
            """#, model, items, folder.path("predictions"))
        #expect(run.text.contains("status 1"), "\(run.text)")
        #expect(run.error.contains("in use by another run"), "\(run.error)")
    }
}
