import Foundation
import GoldenSupport
import Testing

/// Signals: a clean end, soon, with a last line that is true.
@Suite struct EndingTests {
    private let folder: TemporaryDirectory
    private let model: String

    init() throws {
        folder = try TemporaryDirectory()
        model = try Models.shared.get().demo
    }

    /// Long runs of every command that can last.
    private func runs() throws -> [(words: String, input: String)] {
        let generate = try folder.file(Array(repeating: #"{"prompt":"春眠不觉晓","max_tokens":200,"seed":1}"#, count: 3000))
        let fill = try folder.file(Array(repeating: #"{"text":"床前<blank:3>光"}"#, count: 30_000))
        let score = try folder.file(Array(repeating: #"{"context":"床前明月","target":"光"}"#, count: 60_000))
        let items = try folder.file(Array(repeating: #"{"input":"春","target":"眠"}"#, count: 20_000))
        let text = folder.path("text")
        try Data(String(repeating: "白日依山尽，黄河入海流。\n", count: 60_000).utf8).write(to: URL(filePath: text))
        return [
            ("generate \(model) 春 --max-tokens 100000 --allow-empty --eos-id 0 --seed 1", ""),
            ("generate \(model) --requests \(generate)", ""), ("generate \(model) --requests -", generate),
            ("fill \(model) --requests \(fill)", ""), ("score \(model) --requests \(score)", ""),
            ("perplexity \(model) \(text)", ""), ("embed \(model) -", text),
            ("evaluate \(model) LCSTS \(items)", ""),
        ]
    }

    @Test func everySignalEndsEveryCommandSoon() throws {
        for (words, input) in try runs() {
            for signal in ["INT", "TERM", "HUP"] {
                let source = input.isEmpty ? "< /dev/null" : "< <(cat \(input); sleep 60)"
                let run = try Leafcutter.shell(
                    #"""
                    set -m
                    "$0" \#(words) \#(source) > "$1" 2> "$1.error" & pid=$!
                    sleep 2; kill -\#(signal) $pid
                    for i in $(seq 40); do kill -0 $pid 2> /dev/null || break; sleep 0.1; done
                    kill -0 $pid 2> /dev/null && echo late && kill -9 $pid
                    wait $pid; echo "status $?"; cat "$1.error"
                    """#, folder.path("out"))
                #expect(
                    run.text.contains("status 130") && !run.text.contains("late"), "\(words) \(signal): \(run.text)")
                #expect(run.text.contains("interrupted"), "\(words): \(run.text)")
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
        #expect(objects.count >= 20 && objects.count < 200)
        let last = try #require(run.error.split(separator: "\n").dropLast().last)
        #expect(last.hasPrefix("\(tokens) tokens of \(objects.count) requests in "), "\(run.error)")
        #expect(
            run.error.contains("interrupted after \(objects.count) of 2000 requests, \(tokens) tokens"), "\(run.error)")
    }

    @Test func aSessionIsSavedWhenTheTerminalCloses() throws {
        for signal in ["HUP", "TERM", "INT"] {
            let session = folder.path("session-\(signal)")
            let run = try Leafcutter.shell(
                #"""
                set -m
                "$0" generate "$1" 春 --max-tokens 3000 --allow-empty --eos-id 0 --seed 1 --session "$2" > /dev/null & pid=$!
                sleep 1; kill -\#(signal) $pid; kill -HUP $pid; wait $pid; echo "status $?"
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
            for _ in $(seq 400); do [ -s "$2" ] && break; sleep 0.05; done
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

    @Test func aReaderWhoRestsDoesNotHoldUpTheEnd() throws {
        let requests = try folder.file(
            Array(repeating: #"{"context":"床前明月","target":"光"}"#, count: 30_000))
        let run = try Leafcutter.shell(
            #"""
            # In braces: a part of a pipeline has no jobs of its own, and lets them ignore SIGINT.
            { set -m; "$0" score "$1" --requests "$2" -q & pid=$!; sleep 3; kill -INT $pid
              for i in $(seq 40); do kill -0 $pid 2> /dev/null || break; sleep 0.1; done
              kill -9 $pid 2> /dev/null && echo late >&2; } | sleep 8
            """#, model, requests)
        #expect(!run.error.contains("late"), "\(run.error)")
    }

    @Test func argumentsNeedNoProc() throws {
        let run = try Leafcutter.shell(
            #"unshare -m sh -c 'mount -t tmpfs none /proc || exit 77; "$0" tokenize "$1" 春 --json' "$0" "$1""#, model)
        // 77, or 1 where nothing may be mounted.
        guard run.status != 77, !run.error.contains("unshare") else { return }
        #expect(run.status == 0 && run.json?["ids"] != nil, "\(run.error)")
    }
}
