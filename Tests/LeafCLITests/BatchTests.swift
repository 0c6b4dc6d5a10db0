import Foundation
import GoldenSupport
import Testing

/// `batch`: files of requests, and every way in which a run may end.
@Suite struct BatchTests: BatchSuite {
    let folder: TemporaryDirectory
    let model: String

    init() throws { (folder, model) = try Models.demoWithFolder() }

    /// Requests of every kind and form; those without a seed get one of the job's.
    private static func mixed(_ count: Int) -> [String] {
        (0..<count).map { number in
            switch number % 6 {
            case 0: #"{"id":\#(number),"kind":"generate","prompt":"春","max_tokens":4,"eos_id":0}"#
            case 1: #"{"id":"f\#(number)","kind":"fill","text":"床前<blank:1>光，疑是<blank:2>霜。"}"#
            case 2: #"{"id":"s\#(number)","kind":"score","context":"床前明月","target":"光"}"#
            case 3: #"{"id":"e\#(number)","kind":"embed","text":"白日依山尽"}"#
            case 4:
                #"{"custom_id":"c\#(number)","method":"POST","url":"/v1/completions","body":"#
                    + #"{"prompt":["山","水"],"max_tokens":3,"n":2,"logprobs":1,"model":"m"}}"#
            default:
                #"{"custom_id":"h\#(number)","method":"POST","url":"/v1/chat/completions","body":"#
                    + #"{"messages":[{"role":"system","content":"《登鹳雀楼》"},"#
                    + #"{"role":"user","content":"王之涣"}],"max_tokens":3}}"#
            }
        }
    }

    private static func id(_ answer: [String: Any]) -> String { "\(answer["custom_id"] ?? answer["id"] ?? "none")" }

    // MARK: Answers

    @Test func answersAreThoseOfTheCommands() throws {
        let input = try folder.file([
            #"{"id":1,"kind":"generate","prompt":"春","seed":5,"max_tokens":6}"#,
            #"{"id":2,"kind":"fill","text":"床前<blank:1>光"}"#,
            #"{"id":3,"kind":"score","context":"床前明月","target":"光"}"#,
            #"{"id":4,"kind":"embed","text":"白日依山尽"}"#,
            #"{"custom_id":"5","method":"POST","url":"/v1/completions","body":{"prompt":"春","seed":5,"max_tokens":6}}"#,
            #"{"custom_id":"6","method":"POST","url":"/v1/embeddings","body":"#
                + #"{"input":["白日依山尽"],"encoding_format":"base64"}}"#,
            #"{"custom_id":"7","method":"POST","url":"/v1/chat/completions","body":"#
                + #"{"messages":[{"role":"user","content":"春"}],"seed":5,"max_completion_tokens":6}}"#,
        ])
        let run = try batch(input, "--json")
        #expect(run.status == 0, "\(run.error)")
        #expect(run.json?["done"] as? Int == 7)
        var answers: [String: [String: Any]] = [:]
        for answer in try jsonObjects(String(contentsOfFile: output, encoding: .utf8)) {
            answers[Self.id(answer)] = answer
        }
        #expect(answers.count == 7)
        let generated = try Leafcutter.run("generate", model, "春", "--seed", "5", "--max-tokens", "6", "--json", "-q")
        let text = try #require(generated.json?["text"] as? String)
        #expect(answers["1"]?["text"] as? String == text)
        #expect(answers["1"]?["ids"] as? [Int] == generated.json?["ids"] as? [Int])
        #expect(answers["1"]?["timing"] == nil, "what a run takes differs from run to run")
        let filled = try Leafcutter.run("fill", model, "床前<blank:1>光", "--json", "-q")
        #expect(answers["2"]?["text"] as? String == filled.json?["text"] as? String)
        let scored = try Leafcutter.run(
            "score", model, "-q", "--requests", try folder.file([#"{"id":3,"context":"床前明月","target":"光"}"#]))
        let score = try #require(jsonObjects(scored.text).first)
        #expect(answers["3"]?["logprob"] as? Double == score["logprob"] as? Double)
        let embedded = try Leafcutter.run("embed", model, "白日依山尽", "-q")
        let vector = try #require(embedded.json?["embedding"] as? [Double])
        #expect(answers["4"]?["embedding"] as? [Double] == vector)
        func body(_ id: String) throws -> [String: Any] {
            #expect(answers[id]?["error"] is NSNull)
            let response = try #require(answers[id]?["response"] as? [String: Any])
            #expect(response["status_code"] as? Int == 200)
            return try #require(response["body"] as? [String: Any])
        }
        let completions = try body("5")["choices"] as? [[String: Any]]
        #expect(completions?.first?["text"] as? String == text)
        let vectors = try body("6")["data"] as? [[String: Any]]
        let encoded = try #require(vectors?.first?["embedding"] as? String)
        let numbers = try #require(Data(base64Encoded: encoded)).withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { Double(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)) }
        }
        // In JSON stands the shortest number that is read as the same float.
        #expect(numbers.map(Float.init) == vector.map(Float.init))
        let chats = try body("7")["choices"] as? [[String: Any]]
        #expect((chats?.first?["message"] as? [String: Any])?["content"] as? String == text)
    }

    @Test func aBadLineIsNamedBeforeAnythingRuns() throws {
        let good = #"{"id":1,"kind":"generate","prompt":"春"}"#
        let cases: [(String, String)] = [
            ("nonsense", "not valid JSON"),
            (#"{"id":2,"prompt":"春"}"#, "'kind' is missing"),
            (#"{"id":"b","kind":"logits","input_ids":[6]}"#, "there are generate, fill, score, embed"),
            (#"{"id":2,"kind":"generate","prompt":"春","max_token":3}"#, "'max_token'"),
            (#"{"id":1,"kind":"embed","text":"春"}"#, "its id is that of line 1"),
            (#"{"custom_id":"a","method":"GET","url":"/v1/completions","body":{"prompt":"a"}}"#, "POST"),
            (#"{"custom_id":"a","method":"POST","url":"/v1/images","body":{"prompt":"a"}}"#, "'url'"),
            (#"{"custom_id":"a","method":"POST","url":"/v1/completions"}"#, "'body' is missing"),
            (
                #"{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"a","stream":true}}"#,
                "'stream'"
            ),
            (#"{"method":"POST","url":"/v1/completions","body":{"prompt":"a"}}"#, "'custom_id' is missing"),
        ]
        for (line, part) in cases {
            let run = try batch(try folder.file([good, "", line]))
            #expect(run.status == 2, "\(line): \(run.error)")
            #expect(run.error.contains(", line 3: ") && run.error.contains(part), "\(line): \(run.error)")
            #expect(run.error.split(separator: "\n").count == 1)
            #expect(!FileManager.default.fileExists(atPath: output))
            #expect(!FileManager.default.fileExists(atPath: output + ".job"))
        }
    }

    @Test func badLinesAreAnsweredWhereTheyMayBeSkipped() throws {
        let input = try folder.file([
            #"{"id":"a","kind":"generate","prompt":"春","max_tokens":2}"#, "nonsense",
            #"{"id":"b","kind":"generate","prompt":"春","max_tokens":0}"#,
            #"{"id":"a","kind":"embed","text":"春"}"#,
            #"{"custom_id":"c","method":"POST","url":"/v1/completions","body":{"prompt":7}}"#,
            #"{"id":2,"kind":"generate","prompt":"夏","max_tokens":2}"#,
            #"{"method":"POST","url":"/v1/embeddings","body":{"input":"春"}}"#,
        ])
        let failures = folder.path("errors.jsonl")
        let run = try batch(input, "--skip-bad", "--errors", failures)
        #expect(run.status == 1)
        #expect(run.error.contains("5 of 7 requests failed"), "\(run.error)")
        let answers = try jsonObjects(String(contentsOfFile: output, encoding: .utf8))
        #expect(answers.count == 7)
        func errors(_ id: String) -> [String] {
            answers.filter { Self.id($0) == id }.map {
                $0["error"] as? String ?? ($0["error"] as? [String: Any])?["message"] as? String ?? "none"
            }
        }
        func error(_ id: String) -> String { errors(id).first ?? "none" }
        // What nobody can read takes no other line's id.
        #expect(answers.contains { Self.id($0) == "2" && $0["text"] is String })
        let nameless = errors("<null>")
        try #require(nameless.count == 3)
        #expect(nameless.contains { $0.hasPrefix("line 2: it is not valid JSON") })
        #expect(error("b").hasPrefix("line 3: max-tokens 0"))
        #expect(nameless.contains { $0.hasPrefix("line 4: its id is that of an earlier line") })
        #expect(nameless.contains { $0.contains("line 7: 'custom_id' is missing") })
        #expect(error("c").hasPrefix("line 5: 'prompt'"))
        let failed = Set(try lines(failures))
        #expect(failed == Set(try lines(output).filter { !$0.contains(#""text":""#) }))
        #expect(failed.count == 5)
        // It has its answers, and has nothing to do.
        #expect(try batch(input, "--skip-bad", "--errors", failures, "--resume").status == 1)
        #expect(try jsonObjects(String(contentsOfFile: output, encoding: .utf8)).count == 7)
    }

    // MARK: Files that are refused

    @Test func filesThatCanNotBeThese() throws {
        let input = try folder.file(Self.mixed(2))
        try #require(try batch(input, "--seed", "1").status == 0)
        let other = try folder.file(Self.mixed(3))
        func expect(
            _ status: Int32, _ part: String, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            try Leafcutter.expectRefusal(
                ["batch", model] + arguments + ["-q"], status, part, sourceLocation: sourceLocation)
        }
        try expect(2, "exists", [input, output])
        try expect(2, "is not what", [other, output, "--resume"])
        try expect(2, "begun with seed 1", [input, output, "--resume", "--seed", "2"])
        try expect(2, "begun with activations int16", [input, output, "--resume", "--activations", "int8"])
        try expect(2, "would overwrite", [input, input, "--resume"])
        try expect(2, "would overwrite", [input, model, "--resume"])
        try expect(2, "regular file", [input, "/dev/null"])
        try expect(2, "regular file", ["/dev/null", folder.path("new.jsonl")])
        try expect(2, "no requests", [try folder.file(["", " "]), folder.path("new.jsonl")])
        try expect(1, "cannot be written", [input, folder.path("none/out.jsonl")])
        try expect(1, "is a directory", [input, folder.url.path])
        try expect(3, "use --memory", [input, folder.path("new.jsonl"), "--memory", "30MiB"])
        let pipe = try Leafcutter.shell(#""$0" batch "$1" <(cat "$2") "$3" -q"#, model, input, folder.path("new.jsonl"))
        #expect(pipe.status == 2)
        #expect(pipe.error.contains("read twice"), "\(pipe.error)")
        #expect(!FileManager.default.fileExists(atPath: folder.path("new.jsonl")))
        #expect(!FileManager.default.fileExists(atPath: folder.path("new.jsonl.job")))
    }

    /// By other spellings, and by links, whether or not anything is there.
    @Test func whatIsWrittenIsWrittenToPlacesOfItsOwn() throws {
        let input = try folder.file(Self.mixed(2))
        let manager = FileManager.default
        let link = folder.path("link")
        try manager.createSymbolicLink(atPath: link, withDestinationPath: "out.jsonl.job.ids")
        for other in [output, output + ".job", link] {
            let spelled = folder.url.path + "/./" + (other as NSString).lastPathComponent
            for option in ["--errors", "--trace"] {
                let run = try batch(input, option, spelled)
                #expect(run.status == 2, "\(option) \(spelled): \(run.error)")
                #expect(run.error.contains("would overwrite"), "\(option) \(spelled): \(run.error)")
                #expect(!manager.fileExists(atPath: output) && !manager.fileExists(atPath: output + ".job"))
            }
        }
        let errors = folder.path("errors.jsonl")
        #expect(try batch(input, "--errors", errors, "--trace", errors).status == 2)
        try #require(try batch(input).status == 0)
        let before = try lines(output)
        try manager.linkItem(atPath: output, toPath: folder.path("same.jsonl"))
        for option in ["--errors", "--trace"] {
            #expect(try batch(input, "--resume", option, folder.path("same.jsonl")).status == 2)
            #expect(try lines(output) == before)
        }
    }

    @Test func aTimelineAndASessionHavePlacesOfTheirOwn() throws {
        let session = folder.path("session")
        for trace in [session, folder.url.path + "/./session", session + ".lock", session + ".part"] {
            let run = try Leafcutter.run(
                "generate", model, "春", "--max-tokens", "1", "--session", session, "--trace", trace, "-q")
            #expect(run.status == 2 && run.error.contains("would overwrite"), "\(trace): \(run.error)")
            #expect(!FileManager.default.fileExists(atPath: session))
        }
    }

    @Test func aLineThatIsTooLongIsNotBlank() throws {
        let long = String(repeating: " ", count: 1 << 20) + #"{"id":1,"kind":"embed","text":"春"}"#
        let run = try batch(try folder.file([Self.mixed(1)[0], long]))
        #expect(run.status == 2)
        #expect(run.error.contains("line 2: it is longer than"), "\(run.error)")
        #expect(run.error.contains("--skip-bad"), "\(run.error)")
    }

    // MARK: Runs that end too early

    /// Hardly any weights stay in it, in MiB.
    private func littleMemory() throws -> Int {
        try Leafcutter.smallestBudget(["generate", model, "春", "--max-tokens", "4", "-q"]) + 3
    }

    /// On a slow disk: a sweep takes some hundredths of a second, so that there is something to interrupt.
    private func start(_ input: String, memory: Int, _ arguments: String...) throws -> Process {
        let slowly = ["--memory", "\(memory)MiB", "--max-read-rate", "150MB/s", "--batch", "2"]
        let process = Process()
        process.executableURL = URL(filePath: Leafcutter.path)
        process.arguments = ["batch", model, input, output, "-q"] + slowly + arguments
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Answers that are noted as done.
    private var noted: Int { max(0, ((try? lines(output + ".job"))?.count ?? 0) - 1) }

    /// Waits until more than so many answers are there; false where the program ended before.
    private func wait(for process: Process, beyond count: Int) throws -> Bool {
        while process.isRunning {
            if noted > count { return true }
            usleep(2000)
        }
        return false
    }

    /// The answers of a run that nobody disturbs.
    private func undisturbed(_ input: String) throws -> [Substring] {
        let path = folder.path("whole.jsonl")
        let run = try Leafcutter.run("batch", model, input, path, "-q", "--seed", "7", "--batch", "16")
        #expect(run.status == 0, "\(run.error)")
        return try lines(path).sorted()
    }

    @Test func killedTwentyTimesItGivesEachAnswerOnceAndTheSame() throws {
        var random = SeededGenerator()
        let requests = Self.mixed(600)
        let input = try folder.file(requests)
        let expected = try undisturbed(input)
        let memory = try littleMemory()
        for round in 0..<20 {
            let before = noted
            let process = try start(input, memory: memory, "--seed", "7", "--resume")
            // Whatever the machine does meanwhile, each run adds an answer.
            try #require(try wait(for: process, beyond: before), "run \(round) ended by itself, seed \(random.seed)")
            usleep(UInt32.random(in: 0..<150_000, using: &random))
            #expect(try Leafcutter.peak(of: process) <= memory << 20)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            #expect(noted > before)
        }
        #expect(noted < requests.count)
        let last = try batch(input, "--resume")
        #expect(last.status == 0, "\(last.error)")
        #expect(try lines(output).sorted() == expected, "seed \(random.seed)")
        let ids = try jsonObjects(String(contentsOfFile: output, encoding: .utf8)).map(Self.id)
        #expect(Set(ids).count == requests.count && ids.count == requests.count)
    }

    @Test func whatIsTornIsComputedAgain() throws {
        let input = try folder.file(Self.mixed(12))
        let expected = try undisturbed(input)
        try #require(try batch(input, "--seed", "7").status == 0)
        // The last answer is half written, and so is the record of one more.
        let handle = try FileHandle(forUpdating: URL(filePath: output))
        try handle.truncate(atOffset: try handle.seekToEnd() - 40)
        try handle.close()
        let job = try FileHandle(forUpdating: URL(filePath: output + ".job"))
        try job.seekToEnd()
        try job.write(contentsOf: Data("[13,".utf8))
        try job.close()
        #expect(try batch(input, "--resume").status == 0)
        #expect(try lines(output).sorted() == expected)
        try FileManager.default.removeItem(atPath: output)
        #expect(try batch(input, "--resume").status == 0)
        #expect(try lines(output).sorted() == expected)
    }

    @Test func anInterruptedJobSaysHowItGoesOn() throws {
        let input = try folder.file(Self.mixed(200))
        let process = try start(input, memory: littleMemory(), "--seed", "7")
        try #require(try wait(for: process, beyond: 0))
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        let done = try lines(output).count
        #expect(done == noted && done < 200)
        #expect(try batch(input, "--resume", "--batch", "16").status == 0)
        #expect(try lines(output).sorted() == undisturbed(input))
    }

    @Test func twoRunsDoNotShareAJob() throws {
        let input = try folder.file(Self.mixed(300))
        let process = try start(input, memory: littleMemory())
        try #require(try wait(for: process, beyond: 0))
        let second = try batch(input, "--resume")
        #expect(second.status == 1)
        #expect(second.error.contains("in use by another run"), "\(second.error)")
        let third = try batch(input)
        #expect(third.status == 2)
        #expect(third.error.contains("use --resume"), "\(third.error)")
        #expect(process.isRunning)
        process.terminate()
        process.waitUntilExit()
        #expect(try lines(output).count == noted)
    }

    /// No file may grow beyond some kibibytes.
    @Test(arguments: [1, 8]) func onAFullDiskNothingIsLost(kibibytes: Int) throws {
        let input = try folder.file(Self.mixed(60))
        let full = try Leafcutter.shell(
            #"ulimit -f "$4"; exec "$0" batch "$1" "$2" "$3" -q --seed 7"#, model, input, output, "\(kibibytes)")
        #expect(full.status == 1)
        #expect(full.error.contains("`ulimit -f`"), "\(full.error)")
        #expect(full.error.contains("--resume goes on"), "\(full.error)")
        #expect(try lines(output).count == noted)
        #expect(try batch(input, "--resume").status == 0)
        #expect(try lines(output).sorted() == undisturbed(input))
    }
}
