import Foundation
import GoldenSupport
import Testing

@Suite struct GenerateTests {
    private static let title = "《登鹳雀楼》王之涣\n"
    private static let poem = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"

    private func ids(_ run: Leafcutter.Run) throws -> [Int] {
        #expect(run.status == 0, "\(run.error)")
        return try #require(run.json?["ids"] as? [Int])
    }

    /// The demo model's recorded continuations, by transformers on the same float16 weights.
    @Test func demoExamplesAreReproduced() throws {
        struct Examples: Decodable {
            struct Case: Decodable {
                let prompt: String
                let newIds: [Int]
                let text: String
            }
            let generation: [Case]
        }
        let models = try Models.shared.get()
        let examples = try Golden.decode(Examples.self, at: Golden.demoModel.appending(path: "examples.json"))
            .generation
        #expect(examples.count > 5)
        for example in examples {
            let run = try Leafcutter.run("generate", models.exactDemo, example.prompt, "--greedy", "--json", "-q")
            #expect(try ids(run) + [7] == example.newIds, "\(example.prompt)")
            #expect(run.json?["finish_reason"] as? String == "stop")
            #expect(example.prompt + (run.json?["text"] as? String ?? "") == example.text)
        }
    }

    struct Recorded: Decodable {
        struct Case: Decodable {
            struct Parameters: Decodable {
                let eosId: Int?
                let topK: Int?
                let topP: Double?
                let temperature: Double?
                let maxLength: Int?
                let repetitionPenalty: Double?
                let repetitionWindow: Int?
            }
            let id: String
            let by: String
            let method: String?
            let inputIds: [[Int]]
            let lengths: [Int]?
            let parameters: Parameters
            let newIds: [[Int]]
        }
        let cases: [Case]
    }

    /// CPM-Live's sampling with `top_k` 1: its bans, its penalty, its end.
    @Test(arguments: [
        ("ant-tiny-a", "cpm-live/ant-tiny-a.pt"), ("ant-tiny-b", "hf"), ("ant-tiny-c", "hf"),
        ("ant-tiny-pruned", "cpm-live/ant-tiny-pruned.pt"),
    ])
    func samplingCasesOfCPMLiveAreReproduced(model: String, form: String) throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("model.leaf")
        try Models.convert(Golden.model(model).appending(path: form).path, to: path, weights: "f32")
        let recorded = try Golden.decode(Recorded.self, "models/\(model)/golden/generate.json")
        let cases = recorded.cases.filter { $0.by == "live" && $0.method == "sample" }
        #expect(!cases.isEmpty)
        for sample in cases {
            let parameters = sample.parameters
            var options = ["--top-k", "\(parameters.topK ?? 0)", "--top-p", "\(parameters.topP ?? 0)"]
            options += [
                "--temperature", "\(parameters.temperature ?? 1)", "--max-tokens", "\(parameters.maxLength ?? 100)",
            ]
            options += ["--eos-id", "\(parameters.eosId ?? 7)"]
            if let penalty = parameters.repetitionPenalty { options += ["--repetition-penalty", "\(penalty)"] }
            if let window = parameters.repetitionWindow { options += ["--repetition-window", "\(window)"] }
            for (row, expected) in zip(sample.inputIds, sample.newIds) {
                // Shorter rows of a batch are padded on the left with 0.
                let prompt = row.drop { $0 == 0 }.map { "\($0)" }.joined(separator: ",")
                let run = try Leafcutter.run(["generate", path, "--ids", prompt, "--json", "-q"] + options)
                #expect(try ids(run) == expected, "\(sample.id)")
            }
        }
    }

    @Test func theTextIsTheSameAtEveryBudgetAndInEveryMode() throws {
        let model = try Models.shared.get().demo
        let plan = try Leafcutter.run(
            "plan", model, "--context", "128", "--memory", "1GiB", "--disk-rate", "1GB", "--json", "-q")
        let minimum = try #require(plan.json?["minimum"] as? Int)
        var runs = [minimum, minimum + 3 << 20, 2 * minimum, 1 << 30].map { ["--memory", "\($0)"] }
        runs += ["map", "direct", "buffered"].map { ["--memory", "\(minimum)", "--io", $0] }
        runs += ["1", "2", "3"].map { ["--memory", "\(minimum + 1 << 20)", "--threads", $0] }
        for options in runs {
            let run = try Leafcutter.run(
                ["generate", model, Self.title, "--greedy", "--json", "-q", "--max-tokens", "60"] + options)
            guard !(run.status == 1 && options.contains("direct")) else { continue }
            #expect(run.json?["text"] as? String == Self.poem, "\(options) \(run.error)")
            let memory = try #require(run.json?["memory"] as? [String: Any])
            let io = try #require(run.json?["io"] as? [String: Any])
            #expect(io["bytes_written"] as? Int == 0)
            // The promise holds for the program that users get; one that links Swift dynamically takes more.
            if Leafcutter.isShipped {
                #expect(try #require(memory["peak"] as? Int) <= #require(memory["budget"] as? Int), "\(options)")
            }
        }
    }

    @Test func everyInstructionSetGivesTheSameText() throws {
        let model = try Models.shared.get().demo
        let doctor = try Leafcutter.run("doctor", "--json", "-q")
        let sets = try #require(doctor.json?["instruction_sets"] as? [String])
        #expect(sets.contains("scalar"))
        for set in sets {
            let run = try Leafcutter.run(
                ["generate", model, "《春夜》白居易\n", "--seed", "7", "--json", "-q"], environment: ["LEAFCUTTER_ISA": set])
            let reference = try Leafcutter.run("generate", model, "《春夜》白居易\n", "--seed", "7", "--json", "-q")
            #expect(try ids(run) == ids(reference), "\(set)")
        }
        let unknown = try Leafcutter.run(["generate", model, "x"], environment: ["LEAFCUTTER_ISA": "mmx"])
        #expect(unknown.status == 2)
        #expect(unknown.error.contains("LEAFCUTTER_ISA=mmx"))
    }

    @Test func textStreamsToStandardOutputAndFactsToStandardError() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run("generate", model, Self.title, "--greedy")
        #expect(run.text == Self.poem + "\n")
        let facts = run.error.split(separator: "\n").last ?? ""
        for part in ["21 tokens", "a token", "planned", "peak", "read"] { #expect(facts.contains(part), "\(facts)") }
        // What the machine has to give was promised to nobody.
        #expect(!facts.contains("promised"), "\(facts)")
        let given = try Leafcutter.run("generate", model, Self.title, "--greedy", "--memory", "256MiB").error
        #expect(given.contains("; promised 256.0 MiB, peak "), "\(given)")
        #expect(try Leafcutter.run("generate", model, Self.title, "--greedy", "--quiet").error.isEmpty)
    }

    /// Under a limit single reads are as fast as ever, so their rate would tell of a disk that this run did not have.
    @Test func theLastLineNamesTheLimitOfReading() throws {
        let words = [
            "generate", try Models.shared.get().demo, "春", "--greedy", "--max-tokens", "1", "--max-read-rate", "10MB/s",
        ]
        let budget = try Leafcutter.smallestBudget(Array(words.dropLast(2)))
        let run = try Leafcutter.run(words + ["--memory", "\(budget)MiB"])
        let facts = run.error.split(separator: "\n").last ?? ""
        #expect(run.status == 0 && !facts.contains("all weights stay in memory"), "\(run.error)")
        #expect(facts.contains("of the time waiting for the disk at 10 MB/s"), "\(facts)")
    }

    @Test func thePromptMayComeFromStandardInputOrBeIDs() throws {
        let model = try Models.shared.get().demo
        let piped = try Leafcutter.run(["generate", model, "-", "--greedy", "-q"], input: Self.title)
        #expect(piped.text == Self.poem + "\n")
        let tokens = try Leafcutter.run("tokenize", model, Self.title).text.split(separator: "\n")[0]
        let listed = try Leafcutter.run("generate", model, "--ids", "6 " + tokens, "--greedy", "-q")
        #expect(listed.text == Self.poem + "\n")
    }

    @Test func stopStringsEndTheTextAndAreNotPrinted() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run(
            "generate", model, Self.title, "--greedy", "--json", "-q", "--stop", "流。\n", "--stop", "楼")
        #expect(run.json?["text"] as? String == "白日依山尽，黄河入海")
        #expect(run.json?["finish_reason"] as? String == "stop")
    }

    @Test func samplesShareTheSweepsAndChangeNothing() throws {
        let model = try Models.shared.get().demo
        let options = ["generate", model, "《春夜》白居易\n", "--seed", "3", "--max-tokens", "20", "--json", "-q"]
        let together = try Leafcutter.run(options + ["-n", "3"])
        let alone = try Leafcutter.run(options)
        let choices = try #require(together.json?["choices"] as? [[String: Any]])
        #expect(choices.count == 3)
        #expect(try ids(alone) == choices[0]["ids"] as? [Int])
        #expect(Set(choices.compactMap { $0["ids"] as? [Int] }).count == 3)
    }

    @Test func logprobsAreReportedForEachToken() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run(
            "generate", model, Self.title, "--greedy", "--json", "-q", "--max-tokens", "4", "--logprobs", "2")
        let logprobs = try #require(run.json?["logprobs"] as? [[String: Any]])
        #expect(logprobs.count == 4)
        #expect(logprobs.map { $0["id"] as? Int } == (try ids(run)).map { $0 })
        for token in logprobs {
            let top = try #require(token["top"] as? [[String: Any]])
            #expect(top.count == 2)
            #expect(top[0]["logprob"] as? Double == token["logprob"] as? Double)
        }
    }

    @Test func anEmptyOrUnknownPromptBeginsFromNothingWithAWarning() throws {
        let model = try Models.shared.get().demo
        for prompt in ["", "😀"] {
            let run = try Leafcutter.run("generate", model, prompt, "--seed", "1", "--max-tokens", "3", "--json", "-q")
            #expect(run.json?["prompt_tokens"] as? Int == 1)
            #expect(run.error.hasPrefix("warning: "))
        }
    }

    @Test func interruptionPrintsWhatThereIsAndEndsWith130() throws {
        let model = try Models.shared.get().demo
        // No end token: the text would be 30000 tokens long. SIGINT goes out once text has come.
        let run = try Leafcutter.shell(
            """
            # Else the shell lets background jobs ignore SIGINT.
            set -m
            folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
            "$0" generate "$1" 春 --eos-id 0 --seed 1 --max-tokens 30000 > "$folder/text" 2> "$folder/facts" &
            program=$!
            until [ -s "$folder/text" ] || ! kill -0 $program; do sleep 0.05; done
            kill -INT $program; wait $program; echo "status $?"; cat "$folder/text"; cat "$folder/facts" >&2
            """, model)
        #expect(run.text.hasPrefix("status 130\n"), "\(run.text.prefix(200)) \(run.error)")
        #expect(run.text.count > "status 130\n".count + 1)
        #expect(run.error.contains("interrupted after"))
    }
}
