import Foundation
import GoldenSupport
import Testing

/// Signals: a clean end, soon, with a last line that is true.
@Suite struct EndingTests {
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        (folder, model) = try Models.demoWithFolder()
    }

    /// A run that would last, and what it may leave.
    private struct Lasting {
        let words: String
        /// What stands on standard input, whose other end stays open.
        var input: String?
        /// What must not be there in the end, whole or not.
        var target: String?
    }

    /// Every command that can last, while it reads, waits for its input, waits for the disk, computes, or writes.
    private func lasting() throws -> [Lasting] {
        let prompt = #"{"prompt":"春眠不觉晓","max_tokens":200,"seed":1}"#
        let generate = try folder.file(Array(repeating: prompt, count: 3000))
        let fill = try folder.file(Array(repeating: #"{"text":"床前<blank:3>光"}"#, count: 30_000))
        let score = try folder.file(Array(repeating: #"{"context":"床前明月","target":"光"}"#, count: 60_000))
        let items = try folder.file(Array(repeating: #"{"input":"春","target":"眠"}"#, count: 20_000))
        let text = try folder.file(Array(repeating: "白日依山尽，黄河入海流。", count: 60_000))
        let logits = folder.path("cases.json")
        let ids = Array(repeating: "20", count: 100).joined(separator: ",")
        let cases = (0..<2000).map { #"{"id":"\#($0)","input_ids":[6,\#(ids)]}"# }
        try Data(#"{"cases":[\#(cases.joined(separator: ","))]}"#.utf8).write(to: URL(filePath: logits))
        // No wait for this disk ends by itself.
        let slow = "--max-read-rate 1kB/s --memory 160MiB"
        let endless = "--max-tokens 100000 --allow-empty --eos-id 0 --seed 1"
        let output = folder.path("result")
        return [
            Lasting(words: "generate \(model) 春 \(endless)"), Lasting(words: "generate \(model) 春 \(slow)"),
            Lasting(words: "generate \(model) 春 \(slow) --trace \(folder.path("timeline"))"),
            Lasting(words: "generate \(model) 春 --suffix 光 \(slow)"), Lasting(words: "generate \(model) -", input: "春"),
            Lasting(words: "generate \(model) --requests \(generate)"),
            Lasting(words: "generate \(model) --requests \(generate) \(slow)"),
            Lasting(words: "generate \(model) --requests -", input: "{\"prompt\":\"春\"}\n"),
            Lasting(words: "fill \(model) 床前<blank:3>光 \(slow)"), Lasting(words: "fill \(model) --requests \(fill)"),
            Lasting(words: "score \(model) --requests \(score)"),
            Lasting(words: "score \(model) --requests -", input: "{"),
            Lasting(words: "perplexity \(model) \(text) \(slow)"), Lasting(words: "perplexity \(model) -", input: "春"),
            Lasting(words: "embed \(model) 春 \(slow)"), Lasting(words: "embed \(model) -", input: "春\n"),
            Lasting(words: "tokenize \(model) -", input: "春\n"),
            Lasting(words: "evaluate \(model) LCSTS \(items)"),
            Lasting(
                words: "evaluate \(model) LCSTS - --output \(output)", input: "{\"input\":\"春\"}\n", target: output),
            Lasting(words: "logits \(model) --input - --output \(output)", input: "{", target: output),
            Lasting(words: "bench --from - --output \(output)", input: "{", target: output),
            Lasting(words: "logits \(model) --input \(logits) --output \(output) \(slow)", target: output),
            Lasting(words: "bench \(model) --memory 60MiB --repeat 10000 --output \(output)", target: output),
            // Goes on when it is run again.
            Lasting(words: "synthesize \(folder.path("large.leaf")) --preset cpm-ant-1b"),
        ]
    }

    @Test func everySignalEndsEveryCommandSoonAndLeavesNothingHalfWritten() throws {
        for (number, run) in try lasting().enumerated() {
            let signal = [SIGINT, SIGTERM, SIGHUP][number % 3]
            let started = try StartedProgram(run.words.split(separator: " ").map(String.init), input: run.input, folder)
            try started.waitUntilItCatches(signal)
            let end = started.end(by: signal)
            #expect(end.status == 130, "\(run.words), signal \(signal): \(end)")
            let last = end.error.split(separator: "\n").last ?? ""
            #expect(last.contains("interrupted") || last.contains("stopped"), "\(run.words): \(end)")
            #expect(end.output.isEmpty || end.output.hasSuffix("\n") || number == 0, "\(run.words): \(end)")
            for name in [run.target, run.target.map { $0 + ".part" }].compactMap({ $0 }) {
                #expect(!FileManager.default.fileExists(atPath: name), "\(run.words)")
            }
        }
    }

    @Test func whatNeverBeganHasNoAnswerAndIsNotCounted() throws {
        let requests = try folder.file(
            (0..<2000).map { #"{"id":\#($0),"prompt":"春眠不觉晓","max_tokens":40,"seed":\#($0)}"# })
        let run = try Leafcutter.shell(
            #"""
            set -m
            "$0" generate "$1" --requests "$2" > "$2.out" 2> "$2.error" & pid=$!
            until [ $(wc -l < "$2.out") -ge 20 ]; do sleep 0.05; done
            kill -INT $pid; wait $pid; cat "$2.out"; cat "$2.error" >&2
            """#, model, requests)
        let objects = try run.objects
        var tokens = 0
        for object in objects {
            let ids = try #require(object["ids"] as? [Int])
            #expect(object["finish_reason"] as? String != "interrupted" || !ids.isEmpty)
            tokens += ids.count
        }
        #expect(objects.count >= 20 && objects.count < 2000)
        let last = try #require(run.error.split(separator: "\n").dropLast().last)
        #expect(last.hasPrefix("\(tokens) tokens of \(objects.count) requests in "), "\(run.error)")
        #expect(
            run.error.contains("interrupted after \(objects.count) of 2000 requests, \(tokens) tokens"), "\(run.error)")
    }

    @Test func aSessionIsSavedWhenTheTerminalCloses() throws {
        for signal in ["HUP", "TERM", "INT"] {
            let session = folder.path("session-\(signal)")
            // Slowly, so that there is something to interrupt.
            let run = try Leafcutter.shell(
                #"""
                set -m
                "$0" generate "$1" 春 --max-tokens 3000 --allow-empty --eos-id 0 --seed 1 --session "$2" --io direct \
                    --memory 64MiB --max-read-rate 40MB/s > "$2.text" & pid=$!
                until [ -s "$2.text" ] || ! kill -0 $pid; do sleep 0.05; done
                kill -\#(signal) $pid; kill -HUP $pid; wait $pid; echo "status $?"
                """#, model, session)
            #expect(run.text.contains("status 130"), "\(signal): \(run.error)")
            #expect(FileManager.default.fileExists(atPath: session), "\(signal): \(run.error)")
        }
    }

    /// As a program that Dispatch or Foundation starts is.
    @Test func signalsThatWereBlockedAtTheStartArrive() throws {
        let run = try Leafcutter.shell(
            #"""
            set -m
            python3 - "$0" generate "$1" 春 --max-tokens 100000 --eos-id 0 --seed 1 -q > "$2" <<'PYTHON' & pid=$!
            import os, signal, sys
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
            os.execv(sys.argv[1], sys.argv[1:])
            PYTHON
            until [ -s "$2" ] || ! kill -0 $pid; do sleep 0.05; done
            kill -TERM $pid; wait $pid; echo "status $?"
            """#, model, folder.path("out"))
        #expect(run.text == "status 130\n", "\(run.error)")
    }

    @Test func whatWasIgnoredAtTheStartStaysIgnored() throws {
        for signal in ["HUP", "INT"] {
            let run = try Leafcutter.shell(
                #"""
                set -m
                trap '' \#(signal)
                "$0" generate "$1" 春 --max-tokens 600 --allow-empty --eos-id 0 --seed 1 --json -q > "$2" & pid=$!
                sleep 0.5; kill -\#(signal) $pid; wait $pid; echo "status $?"
                """#, model, folder.path("out"))
            #expect(run.text.contains("status 0"), "\(signal): \(run.text)\(run.error)")
        }
    }

    /// Lines that are passed over, without an end, and a line without an end.
    @Test(arguments: ["yes x", "yes ''", "tr '\\0' x < /dev/zero"])
    func anInputThatNeverRestsDoesNotHoldUpTheEnd(input: String) throws {
        let run = try Leafcutter.shell(
            #"""
            mkfifo "$2"; \#(input) > "$2" 2> /dev/null & feeder=$!
            "$0" generate "$1" --requests - --skip-bad -q < "$2" > /dev/null & pid=$!
            ready $pid; sleep 1; kill -TERM $pid
            over $pid || echo late
            wait $pid; echo "status $?"; kill $feeder
            """#, model, folder.path("pipe"))
        #expect(run.text == "status 130\n", "\(run.text)\(run.error)")
    }

    @Test func aPipeWithoutAReaderDoesNotHoldUpTheEnd() throws {
        let run = try Leafcutter.shell(
            #"""
            mkfifo "$2"
            "$0" generate "$1" 春 --trace "$2" -q > /dev/null & pid=$!
            ready $pid; sleep 0.5; kill -TERM $pid; wait $pid; echo "status $?"
            "$0" generate "$1" 春 --session "$2" -q > /dev/null & pid=$!
            wait $pid; echo "status $?"
            """#, model, folder.path("pipe"))
        #expect(run.text == "status 130\nstatus 2\n", "\(run.text)\(run.error)")
    }

    @Test func aReaderWhoRestsDoesNotHoldUpTheEnd() throws {
        let requests = try folder.file(
            Array(repeating: #"{"context":"床前明月","target":"光"}"#, count: 30_000))
        let run = try Leafcutter.shell(
            #"""
            set -m; resting "$3"
            "$0" score "$1" --requests "$2" -q > "$3" & pid=$!; ready $pid; sleep 3; kill -INT $pid
            over $pid || echo late >&2
            """#, model, requests, folder.path("pipe"))
        #expect(!run.error.contains("late"), "\(run.error)")
    }

    @Test(arguments: ["INT", "TERM"]) func aReaderWhoRestsIsNoErrorOfAnInterruptedRun(signal: String) throws {
        let run = try Leafcutter.shell(
            #"""
            set -m; resting "$3"; yes 白日依山尽，黄河入海流。 | head -n 300000 > "$2"
            "$0" tokenize "$1" - < "$2" 2> "$2.error" > "$3" & pid=$!; ready $pid; sleep 2
            kill -\#(signal) $pid; wait $pid; echo "status $?" >> "$2.error"
            cat "$2.error"
            """#, model, folder.path("lines"), folder.path("pipe"))
        #expect(run.text == "leafcutter tokenize: interrupted\nstatus 130\n", "\(run.text)")
    }

    /// Results that are written straight into a pipe, which nobody empties.
    @Test(arguments: [
        #"logits "$1" --input "$2" --output /dev/fd/3"#, #"evaluate "$1" LCSTS "$3" --output /dev/fd/3"#,
        #"generate "$1" 春 --trace /dev/fd/3 --max-tokens 30 --allow-empty --eos-id 0 --seed 1"#,
    ]) func aResultThatNobodyReadsDoesNotHoldUpTheEnd(command: String) throws {
        let ids = Array(repeating: "20", count: 100).joined(separator: ",")
        let cases = try folder.file([#"{"cases":[{"id":"a","input_ids":[6,\#(ids)]}]}"#])
        let items = try folder.file(Array(repeating: #"{"input":"春眠不觉晓","target":"眠"}"#, count: 20_000))
        let run = try Leafcutter.shell(
            #"""
            set -m; resting "$4"
            "$0" \#(command) -q 3> "$4" > /dev/null & pid=$!; ready $pid; sleep 5; kill -TERM $pid
            over $pid || echo late >&2; wait $pid; echo "status $?" >&2
            """#, model, cases, items, folder.path("pipe"))
        #expect(run.error.contains("interrupted"), "\(run.error)")
        #expect(!run.error.contains("late") && run.error.hasSuffix("status 130\n"), "\(run.error)")
    }

    @Test func benchNeedsNoProc() throws {
        // By its whole path it finds itself; by another name it cannot.
        let starts: [(words: String, status: Int32)] = [(#""$0""#, 0), (#"exec -a no-such-program "$0""#, 1)]
        for (start, status) in starts {
            let run = try Leafcutter.shell(
                #"""
                unshare -m bash -c 'mount -t tmpfs none /proc || exit 77
                    (\#(start) bench "$1" --memory 1GiB --prompt 4 --generate 2 --repeat 1 --format jsonl -q)
                    ' "$0" "$1"
                """#, model)
            // 77, or 1 where nothing may be mounted.
            guard run.status != 77, !run.error.contains("unshare") else { return }
            #expect(run.status == status, "\(run.error)")
            if status == 0 {
                #expect(run.json?["decode_seconds_per_token"] != nil, "\(run.text)")
            } else {
                #expect(run.error.contains("does not find itself"), "\(run.error)")
                #expect(run.error.contains("--in-process"), "\(run.error)")
            }
        }
    }

    @Test func argumentsNeedNoProc() throws {
        let run = try Leafcutter.shell(
            #"unshare -m sh -c 'mount -t tmpfs none /proc || exit 77; "$0" tokenize "$1" 春 --json' "$0" "$1""#, model)
        // 77, or 1 where nothing may be mounted.
        guard run.status != 77, !run.error.contains("unshare") else { return }
        #expect(run.status == 0 && run.json?["ids"] != nil, "\(run.error)")
    }
}

/// The program, started with the signals that a terminal gives it.
private struct StartedProgram {
    struct End {
        /// 128 and the number of a signal that ended it.
        let status: Int32
        let output: String
        let error: String
    }

    let process: pid_t
    private let input: Int32
    private let paths: [String]

    /// - Parameter input: nil for none; else the other end stays open behind it.
    init(_ words: [String], input: String?, _ folder: TemporaryDirectory) throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { close(ends[0]) }
        self.input = input == nil ? -1 : ends[1]
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        paths = ["output", "error"].map { folder.path("\(UUID().uuidString).\($0)") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        for (number, path) in zip([STDOUT_FILENO, STDERR_FILENO], paths) {
            posix_spawn_file_actions_addopen(&actions, number, path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        }
        // A job in the background of a script would ignore SIGINT.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var arguments = ([Leafcutter.path] + words).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        try #require(posix_spawn(&process, Leafcutter.path, &actions, &attributes, &arguments, environ) == 0)
        self.process = process
        let bytes = Array((input ?? "").utf8)
        _ = write(ends[1], bytes, bytes.count)
        if input == nil { close(ends[1]) }
    }

    /// Waits for a handler, and a moment more, so that it is at work.
    func waitUntilItCatches(_ signal: Int32) throws {
        for _ in 0..<600 {
            let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
            let caught = status.firstMatch(of: /SigCgt:\s*([0-9a-f]+)/).flatMap { UInt64($0.output.1, radix: 16) } ?? 0
            if caught & 1 << UInt64(signal - 1) != 0 {
                usleep(400_000)
                return
            }
            usleep(50_000)
        }
        kill(process, SIGKILL)
        Issue.record("no handler")
    }

    /// Sends a signal and waits; what does not end in ten seconds is killed.
    func end(by signal: Int32) -> End {
        kill(process, signal)
        var status: Int32 = 0
        var hasEnded = false
        for _ in 0..<200 where !hasEnded {
            hasEnded = waitpid(process, &status, WNOHANG) == process
            if !hasEnded { usleep(50_000) }
        }
        if !hasEnded {
            kill(process, SIGKILL)
            waitpid(process, &status, 0)
        }
        if input >= 0 { close(input) }
        let texts = paths.map { (try? String(contentsOfFile: $0, encoding: .utf8)) ?? "not UTF-8" }
        return End(
            status: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F, output: texts[0], error: texts[1])
    }
}
