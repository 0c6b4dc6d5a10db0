import Foundation
import GoldenSupport
import Testing

/// `generate --session FILE`
@Suite struct SessionCommandTests {
    private static let title = "《登鹳雀楼》王之涣\n"

    private let folder: TemporaryDirectory
    private let model: String
    private let session: String

    init() throws {
        (folder, model) = try Models.demoWithFolder()
        session = folder.path("a.session")
    }

    private func generate(_ options: [String]) throws -> Leafcutter.Run {
        try Leafcutter.run(["generate", model, "春", "--seed", "5", "--eos-id", "0", "-q"] + options)
    }

    private func saved() throws -> Data { try Data(contentsOf: URL(filePath: session)) }

    private func fields(_ run: Leafcutter.Run, _ name: String = "session") throws -> [String: Any] {
        try #require(run.json?[name] as? [String: Any], "\(run.error)")
    }

    @Test(arguments: [
        (["--json"], "INT"), ([], "TERM"), (["--beams", "2", "--json"], "INT"),
        (["-n", "2", "--logprobs", "1", "--json"], "TERM"),
    ])
    func aSignalSavesAndTheSameCommandGoesOn(way: [String], signal: String) throws {
        let options = way + ["--max-tokens", "12"]
        let whole = try generate(options)
        #expect(whole.status == 0, "\(whole.error)")
        // Some 4 MB a sweep: a few tokens in half a second.
        let words = (["春", "--seed", "5", "--eos-id", "0", "-q", "--session", session, "--memory", "46MiB"] + options)
            .map { "'\($0)'" }.joined(separator: " ")
        var stops = 0
        for round in 0..<60 {
            let run = try Leafcutter.shell(
                """
                set -m
                "$0" generate "$1" \(words) --max-read-rate 40MB/s & program=$!
                # A busy machine takes its time to begin: SIGINT is the second bit of what is caught.
                for i in $(seq 500); do
                    grep -qs '^SigCgt:.*[2367abef]$' /proc/$program/status && break; sleep 0.01
                done
                # Longer each time, so that it comes to an end on any machine.
                sleep $((\(round) / 20)).$((RANDOM % 5 + 1)); kill -\(signal) $program 2> /dev/null; wait $program
                """, model)
            guard run.status == 130 else {
                #expect(run.status == 0, "\(run.error)")
                break
            }
            stops += 1
            #expect(run.error.contains("the same command goes on"), "\(run.error)")
            if way.isEmpty { #expect(whole.text.hasPrefix(run.text.dropLast())) }
        }
        #expect(stops > 0)
        let again = try generate(options + ["--session", session])
        #expect(again.status == 0, "\(again.error)")
        if way.isEmpty {
            #expect(again.text == whole.text)
        } else {
            for key in ["text", "ids", "choices", "logprobs", "seed", "finish_reason", "completion_tokens"] {
                #expect(again.json?[key] as? NSObject == whole.json?[key] as? NSObject, "\(key)")
            }
            #expect((again.json?["timing"] as? [String: Any])?["sweeps"] as? Int == 0)
        }
    }

    /// Killed at any moment, many of them while the file is written: what is there is always whole.
    @Test func aKilledProcessLeavesTheSessionBeforeIt() throws {
        let options = ["--max-tokens", "400"]
        let whole = try generate(options)
        let words =
            (["春", "--seed", "5", "--eos-id", "0", "-q", "--session", session, "--session-every", "1"] + options)
            .map { "'\($0)'" }.joined(separator: " ")
        var kills = 0
        for _ in 0..<200 {
            let run = try Leafcutter.shell(
                """
                "$0" generate "$1" \(words) & program=$!
                sleep 0.$((RANDOM % 400 + 100)); kill -9 $program 2> /dev/null; wait $program 2> /dev/null
                """, model)
            guard run.status == 128 + SIGKILL else {
                #expect(run.status == 0, "\(run.error)")
                break
            }
            kills += 1
            #expect(whole.text.hasPrefix(run.text))
        }
        #expect(kills > 0)
        #expect(try generate(options + ["--session", session]).text == whole.text)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a.session"])
    }

    @Test(arguments: ["", "--session-every 3"]) func aSecondRunIsRefusedAtTheStart(saving: String) throws {
        for first in [true, false] {
            let words = "春 --seed 5 --max-tokens 20000 --allow-empty --eos-id 0 -q \(saving)"
            let run = try Leafcutter.shell(
                #"""
                set -m
                "$0" generate "$1" \#(words) --session "$2" > /dev/null & pid=$!
                until [ -e "$2.lock" ] || ! kill -0 $pid; do sleep 0.05; done; sleep 0.3
                "$0" generate "$1" \#(words) --session "$2"; echo "second $?"
                kill -INT $pid; wait $pid; echo "first $?"
                """#, model, session)
            #expect(run.text == "second 1\nfirst 130\n", "\(first): \(run.text) \(run.error)")
            #expect(run.error.contains("in use by another run"), "\(run.error)")
            // The first one's is there, and the next one goes on from it.
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a.session"])
        }
    }

    @Test func theAnswerIsPrintedAgainAndALongerOneGoesOn() throws {
        let whole = try generate(["--max-tokens", "30", "--json"])
        let first = try generate(["--max-tokens", "10", "--json", "--session", session])
        #expect(try fields(first)["resumed_tokens"] as? Int == 0)
        #expect(try fields(first)["bytes"] as? Int == (try saved()).count)
        let bytes = try saved()
        let again = try generate(["--max-tokens", "10", "--json", "--session", session])
        #expect(again.json?["text"] as? String == first.json?["text"] as? String)
        #expect(try fields(again)["resumed_tokens"] as? Int == 10)
        #expect(try fields(again)["bytes"] as? Int == 0)
        // The kernel may count a block of the folder, where the run's lock came and went.
        let written = try #require(fields(again, "io")["bytes_written"] as? Int)
        #expect(written <= 8192 && written < bytes.count)
        #expect(try saved() == bytes)
        let longer = try generate(["--max-tokens", "30", "--json", "--session", session])
        for key in ["text", "ids", "finish_reason", "completion_tokens"] {
            #expect(longer.json?[key] as? NSObject == whole.json?[key] as? NSObject, "\(key)")
        }
        #expect((longer.json?["timing"] as? [String: Any])?["sweeps"] as? Int == 20)
    }

    /// The kernel counts what goes to a disk; a file system in memory has none.
    @Test func whatIsWrittenIsCounted() throws {
        let run = try generate(["--max-tokens", "10", "--json", "--session", session])
        let bytes = try #require(fields(run)["bytes"] as? Int)
        let written = try #require(fields(run, "io")["bytes_written"] as? Int)
        let kind = try Leafcutter.shell(#"stat -f -c %T "$1""#, folder.url.path).text
        if !kind.hasPrefix("tmpfs") { #expect((bytes...(2 * bytes + 65536)).contains(written)) }
    }

    @Test func theSeedAndThePromptNeedNotBeTypedAgain() throws {
        let options = ["generate", model, "--max-tokens", "6", "--json", "-q", "--session", session]
        let first = try Leafcutter.run(options + ["春"])
        let again = try Leafcutter.run(options)
        #expect(again.json?["seed"] as? Int == first.json?["seed"] as? Int)
        #expect(again.json?["text"] as? String == first.json?["text"] as? String)
    }

    @Test func whatCannotGoOnIsRefusedInOneSentence() throws {
        let options = ["--max-tokens", "6", "--session", session]
        #expect(try generate(options).status == 0)
        let bytes = try saved()
        func expectRefusal(
            _ status: Int32, _ words: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
        ) throws { try Leafcutter.expectRefusal(arguments, status, words, sourceLocation: sourceLocation) }
        let same = ["generate", model, "春", "--seed", "5", "--eos-id", "0", "-q"]
        try expectRefusal(
            2, "temperature 0.9, this run has temperature 0.5", same + options + ["--temperature", "0.5"])
        try expectRefusal(2, "sampling, this run has greedy", same + options + ["--greedy"])
        try expectRefusal(2, "kv f16, this run has kv f32", same + options + ["--kv", "f32"])
        try expectRefusal(2, "seed 5", same + options + ["--seed", "6"])
        try expectRefusal(2, "max-tokens 5", same + options + ["--max-tokens", "5"])
        try expectRefusal(
            2, "a shorter prompt",
            ["generate", model, "春，", "--seed", "5", "--eos-id", "0", "-q"] + options)
        try expectRefusal(
            2, "another prompt", ["generate", model, "秋", "--seed", "5", "--eos-id", "0", "-q"] + options)
        try expectRefusal(
            2, "another model",
            ["generate", Models.shared.get().exactDemo, "春", "--seed", "5", "--eos-id", "0", "-q"] + options)
        try expectRefusal(2, "--session FILE, which is missing", same + ["--session-every", "3"])
        try expectRefusal(
            2, "--session-every 0 is not a whole number of at least 1", same + options + ["--session-every", "0"])
        try expectRefusal(2, "--suffix", same + options + ["--suffix", "楼"])
        try expectRefusal(2, "--requests", ["generate", model, "--requests", "r.jsonl", "-q"] + options)
        try expectRefusal(2, "PROMPT is missing", ["generate", model, "-q", "--session", folder.path("new.session")])
        try expectRefusal(1, "/nowhere/a.session", same + ["--session", "/nowhere/a.session"])
        try expectRefusal(1, "is a directory", same + ["--session", folder.url.path])
        #expect(try saved() == bytes)

        try bytes.prefix(5000).write(to: URL(filePath: session))
        try expectRefusal(1, "cut off", same + options)
        #expect(try saved() == bytes.prefix(5000))
        try Data(bytes.enumerated().map { $0 == 100 ? ~$1 : $1 }).write(to: URL(filePath: session))
        try expectRefusal(1, "is damaged", same + options)
        try Data("a poem".utf8).write(to: URL(filePath: session))
        try expectRefusal(1, "is not a session", same + options)
    }

    @Test func whatCannotBeSavedLeavesTheOldSessionAndPrintsTheText() throws {
        #expect(try generate(["--max-tokens", "3", "--session", session]).status == 0)
        let bytes = try saved()
        let whole = try generate(["--max-tokens", "40"])
        let run = try Leafcutter.shell(
            """
            ulimit -f 8; exec "$0" generate "$1" 春 --seed 5 --eos-id 0 -q --max-tokens 40 --session "$2"
            """, model, session)
        #expect(run.status == 1)
        #expect(run.text == whole.text)
        #expect(run.error.contains("the session was not saved: "), "\(run.error)")
        #expect(run.error.contains("the limit on the size of a file"), "\(run.error)")
        #expect(run.error.split(separator: "\n").count == 1, "\(run.error)")
        #expect(try saved() == bytes)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a.session"])
        #expect(try generate(["--max-tokens", "40", "--session", session]).text == whole.text)
    }

    /// Beams report all their tokens after the last saving.
    @Test(arguments: [["--beams", "4", "-n", "4"], []]) func whatFailsAtTheEndIsReportedOnce(way: [String]) throws {
        let words = (way + ["--max-tokens", "30", "--session", session, "--session-every", "99"]).joined(separator: " ")
        for _ in 0..<5 {
            let run = try Leafcutter.shell(
                #"ulimit -f 2; exec "$0" generate "$1" 春 --seed 5 --eos-id 0 -q \#(words)"#, model)
            #expect(run.status == 1)
            #expect(run.error.split(separator: "\n").count == 1, "\(run.error)")
            #expect(run.error.contains("the session was not saved"), "\(run.error)")
        }
    }
}
