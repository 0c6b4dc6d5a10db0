import Foundation
import GoldenSupport
import Testing

/// What changes how weights come must not change what is written.
@Suite struct WorkingSetTests {
    private static let title = "《登鹳雀楼》王之涣\n"
    private static let poem = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n"

    /// Where all weights are in memory at first, and where some of them are.
    @Test(arguments: ["1GiB", "50MiB"]) func theTextStaysTheSameWhileMemoryComesAndGoes(budget: String) throws {
        // Signals every few milliseconds, from when the program has begun until it ends.
        let script = """
            "$0" generate "$1" "$2" --greedy --memory \(budget) --max-read-rate 100MB/s & pid=$!
            sleep 0.04
            for ((i = 0; i < 200; i++)); do
                kill -USR$((RANDOM % 2 + 1)) $pid 2>/dev/null || break
                sleep 0.00$((RANDOM % 10))
            done
            wait $pid
            """
        for _ in 0..<3 {
            let run = try Leafcutter.shell(script, try Models.shared.get().demo, Self.title)
            // On a busy machine a signal may meet the program before its first instruction, and end it.
            if run.status == 128 + SIGUSR1 || run.status == 128 + SIGUSR2 { continue }
            #expect(run.status == 0, "\(run.error)")
            #expect(run.text == Self.poem)
        }
    }

    /// What is reported at the end is what was in memory then, not what the plan began with.
    @Test func theFactsKnowWhatHasLeftMemory() throws {
        let model = try Models.shared.get().demo
        func streamed(_ run: Leafcutter.Run) throws -> Int {
            let io = try #require(run.json?["io"] as? [String: Any], "\(run.error)")
            return try #require(io["streamed_bytes_per_sweep"] as? Int)
        }
        let options = "--greedy --eos-id 0 --max-tokens 400 --json --memory 1GiB"
        let still = try Leafcutter.shell(#""$0" generate "$1" 春 \#(options)"#, model)
        #expect(try streamed(still) == 0)
        #expect(still.error.contains("all weights stay in memory"))
        // From when there is a model, whose first sweep takes some tenths of a second, until it ends.
        let folder = try TemporaryDirectory()
        let shrunk = try Leafcutter.shell(
            """
            "$0" generate "$1" 春 \(options) -v --max-read-rate 100MB/s 2> "$2" & pid=$!
            until grep -q '^slots' "$2" || ! kill -0 $pid; do sleep 0.01; done
            until grep -q SIGUSR1: "$2" || ! kill -0 $pid; do kill -USR1 $pid; sleep 0.02; done 2> /dev/null
            for ((i = 0; i < 20; i++)); do kill -USR1 $pid; sleep 0.01; done 2> /dev/null
            wait $pid; cat "$2" >&2
            """, model, folder.path("notes"))
        #expect(try streamed(shrunk) > 4 << 20)
        #expect(!shrunk.error.contains("all weights stay in memory"))
    }

    @Test func verboseAcknowledgesASignal() throws {
        let folder = try TemporaryDirectory()
        let notes = folder.path("notes")
        // What comes before the plan is shown may come before the model is there, and is forgotten.
        let run = try Leafcutter.shell(
            """
            "$0" generate "$1" 春 --eos-id 0 --max-tokens 20000 --memory 1GiB -v > /dev/null 2> "$2" &
            pid=$!
            until grep -q '^slots' "$2" || ! kill -0 $pid; do sleep 0.05; done
            for number in 1 2; do
                until grep -q "SIGUSR$number:" "$2" || ! kill -0 $pid; do kill -USR$number $pid; sleep 0.1; done
            done
            kill -TERM $pid
            wait $pid
            """, try Models.shared.get().demo, notes)
        let error = try String(contentsOfFile: notes, encoding: .utf8)
        #expect(run.status == 130, "\(error)")
        for signal in ["SIGUSR1", "SIGUSR2"] {
            let line = try #require(error.split(separator: "\n").first { $0.hasPrefix("\(signal): ") }, "\(error)")
            #expect(line.contains(/[KM]iB of the weights are to stay in memory, [0-9.]+ [KM]iB before/), "\(line)")
        }
    }

    @Test func aMirrorBringsHalfOfTheSameText() throws {
        let folder = try TemporaryDirectory()
        let demo = try Models.shared.get().demo
        let copy = folder.path("copy.leaf")
        try FileManager.default.copyItem(atPath: demo, toPath: copy)
        let run = try Leafcutter.run(
            "generate", demo, Self.title, "--greedy", "--memory", "50MiB", "--mirror", copy)
        #expect(run.status == 0, "\(run.error)")
        #expect(run.text == Self.poem)
    }

    @Test func aMirrorOfAnotherModelIsRefused() throws {
        let models = try Models.shared.get()
        let run = try Leafcutter.run("generate", models.demo, "a", "--mirror", models.exactDemo)
        #expect(run.status == 2)
        #expect(run.error.contains("is not a copy of \(models.demo)"))
        let folder = try TemporaryDirectory()
        try FileManager.default.createSymbolicLink(
            atPath: folder.path("link.leaf"), withDestinationPath: models.demo)
        for name in [models.demo, folder.path("link.leaf")] {
            let itself = try Leafcutter.run("generate", models.demo, "a", "--mirror", name)
            #expect(itself.status == 2 && itself.error.contains("is the model itself"), "\(itself.error)")
        }
        let nowhere = try Leafcutter.run("generate", models.demo, "a", "--mirror", "/nowhere.leaf")
        #expect(nowhere.status == 1 && nowhere.error.contains("/nowhere.leaf"))
    }

    @Test(arguments: [("0", "is too small"), ("fast", "is not a rate such as 200MB/s"), ("-5MB/s", "is not a rate")])
    func aRateThatReadsNothingIsRefused(rate: String, reason: String) throws {
        let run = try Leafcutter.run("generate", try Models.shared.get().demo, "a", "--max-read-rate=\(rate)")
        #expect(run.status == 2)
        #expect(run.error.contains("--max-read-rate \(rate) \(reason)"), "\(run.error)")
    }
}
