import Foundation
import GoldenSupport
import Testing

/// What a session's file says, so that it need not be typed again.
@Suite struct SessionOptionTests {
    private let folder: TemporaryDirectory
    private let model: String
    private let session: String

    init() throws {
        (folder, model) = try Models.demoWithFolder()
        session = folder.path("a.session")
    }

    private func generate(_ options: [String]) throws -> Leafcutter.Run {
        try Leafcutter.run(["generate", model, "-q"] + options)
    }

    /// Every way to choose a token, with options that all differ from their defaults.
    @Test(arguments: [
        [
            "--temperature", "0.7", "--top-p", "0.8", "--top-k", "40", "--min-p", "0.01", "--repetition-penalty", "1.1",
            "--repetition-window", "9", "--frequency-penalty", "0.1", "--presence-penalty", "0.2", "--no-repeat-ngram",
            "4", "--logit-bias", "236=-1.5", "--logit-bias", "4=0.25", "--stop", "楼\"\\\n", "--stop", "，，",
            "--allow-empty", "--eos-id", "0", "--seed", "3", "--logprobs", "1", "-n", "2", "--kv", "f32",
            "--activations", "int8",
        ],
        ["--greedy", "--task", "1", "--segment", "1", "--compat", "transformers"], ["--temperature", "0"],
        ["--beams", "3", "-n", "2", "--length-penalty", "0.5", "--early-stopping", "--max-tokens", "8"],
    ])
    func optionsThatAreNotTypedAreThoseOfTheFile(options: [String]) throws {
        let whole = try generate(
            ["春", "--json"] + options + (options.contains("--beams") ? [] : ["--max-tokens", "16"]))
        #expect(whole.status == 0, "\(whole.error)")
        let length = options.contains("--beams") ? [] : ["--max-tokens", "5"]
        #expect(try generate(["春", "--json", "--session", session] + options + length).status == 0)
        // The options alone, all of them, and none.
        let longer = options.contains("--beams") ? [] : ["--max-tokens", "16"]
        for typed in [Array(options.prefix(2)).filter { $0 == "--greedy" }, options, []] {
            let rest = try generate(["--json", "--session", session] + longer + typed)
            #expect(rest.status == 0, "\(typed): \(rest.error)")
            for key in ["text", "ids", "choices", "logprobs", "finish_reason"] {
                #expect(rest.json?[key] as? NSObject == whole.json?[key] as? NSObject, "\(key)")
            }
        }
    }

    @Test func allContradictionsAreListedAtOnce() throws {
        #expect(
            try generate(["春", "--seed", "5", "--eos-id", "0", "--max-tokens", "6", "--session", session]).status == 0)
        let bytes = try Data(contentsOf: URL(filePath: session))
        for part in [
            "another prompt", "seed 5, this run has seed 6",
            "temperature 0.9, top-k 0, this run has temperature 0.5, top-k 3",
            "holds 6 tokens, max-tokens 2", "begin another session",
        ] {
            try Leafcutter.expectRefusal(
                [
                    "generate", model, "秋", "-q", "--session", session, "--temperature", "0.5", "--top-k", "3",
                    "--seed",
                    "6", "--max-tokens", "2",
                ], 2, part)
        }
        // An option that is typed as the default is meant.
        try Leafcutter.expectRefusal(
            ["generate", model, "-q", "--session", session, "--eos-id", "7"], 2, "eos-id 0, this run has eos-id 7")
        #expect(try Data(contentsOf: URL(filePath: session)) == bytes)
        #expect(try generate(["--top-k", "0", "--session", session]).status == 0)
    }

    /// Whatever the stops, the parts are the whole: `>>` joins them.
    @Test func theNewPartsAreTheWholeText() throws {
        let start = ["春", "--seed", "5", "--eos-id", "0", "--stop", "，x"]
        let whole = try generate(start + ["--max-tokens", "40"])
        var parts = ""
        for tokens in [1, 2, 3, 7, 8, 20, 40] {
            let part = try generate(
                (parts.isEmpty ? start : []) + ["--max-tokens", "\(tokens)", "--session", session, "--quiet-past"])
            #expect(part.status == 0, "\(part.error)")
            parts += part.text
            let sofar = try generate(start + ["--max-tokens", "\(tokens)"])
            #expect(parts == sofar.text.dropLast(), "\(tokens)")
        }
        #expect(parts + "\n" == whole.text)
        let nothing = try generate(["--max-tokens", "40", "--session", session, "--quiet-past"])
        #expect(nothing.status == 0 && nothing.text.isEmpty, "\(nothing.text)\(nothing.error)")
        for (options, part) in [
            (["--json"], "--json"), (["--session", folder.path("b"), "-n", "2", "春"], "-n"),
            (["--session", folder.path("b"), "--beams", "2", "春"], "--beams"),
        ] {
            try Leafcutter.expectRefusal(
                ["generate", model, "-q", "--session", session, "--quiet-past"] + options, 2, part)
        }
        try Leafcutter.expectRefusal(["generate", model, "春", "--quiet-past"], 2, "--session FILE, which is missing")
    }

    /// A poem ends by itself, and one that was cut by its length does not.
    @Test func howAnEndedTextGoesOnIsSaid() throws {
        let title = "《登鹳雀楼》王之涣\n"
        let cut = try Leafcutter.run(
            "generate", model, title, "--greedy", "--max-tokens", "5", "--session", session)
        #expect(cut.error.contains("a larger --max-tokens continues it"), "\(cut.error)")
        let words = ["generate", model, "--session", session, "--max-tokens", "60", "--quiet-past"]
        let end = try Leafcutter.run(words)
        #expect(end.error.contains("ended by itself") && end.text.hasSuffix("楼。\n"), "\(end.text)\(end.error)")
        let again = try Leafcutter.run(words)
        #expect(again.error.contains("all of it was in \(session); the text ended by itself"), "\(again.error)")
        #expect(again.text.isEmpty)
    }

    /// Whether the prompt is typed or comes from the file, whose ids and options mean nothing to the other model.
    @Test func aSessionOfAnotherModelIsNamedAsThat() throws {
        let options = ["--seed", "5", "--eos-id", "20000", "--logit-bias", "20001=1", "--max-tokens", "6"]
        #expect(try generate(["春"] + options + ["--session", session]).status == 0)
        let tiny = try Models.shared.get().tiny
        for prompt in [[], ["--ids", "6,20"]] {
            try Leafcutter.expectRefusal(
                ["generate", tiny, "-q", "--session", session] + prompt, 2,
                "\(session) belongs to another model; give that one, or begin another session")
        }
    }

    /// Damage anywhere is a sentence, also in what inspection does not show.
    @Test func inspectionOfADamagedSessionIsASentence() throws {
        let begun = ["春", "--seed", "5", "--eos-id", "0", "--max-tokens", "9", "--session", session]
        #expect(try generate(begun).status == 0)
        let bytes = try Data(contentsOf: URL(filePath: session))
        let damaged = folder.path("damaged.session")
        func expectSentence(_ bytes: Data, _ what: String) throws {
            try bytes.write(to: URL(filePath: damaged))
            let run = try Leafcutter.run("inspect", damaged)
            #expect(run.status == 1 && run.output.isEmpty, "\(what): \(run.status) \(run.error)")
            let lines = run.error.split(separator: "\n")
            #expect(lines.count == 1 && lines[0].hasPrefix("leafcutter inspect: \(damaged)"), "\(what): \(lines)")
        }
        let places = Array(stride(from: 99, to: bytes.count, by: bytes.count / 24))
        for offset in places + [0, 7, 8, 11, 12, 13, 40, 4095, 4096, 4100, bytes.count - 1] {
            var changed = bytes
            changed[offset] ^= 0x55
            try expectSentence(changed, "byte \(offset)")
            try expectSentence(bytes.prefix(offset), "the first \(offset) bytes")
        }
        try expectSentence(bytes + bytes.suffix(4096), "a frame twice")
    }

    @Test func inspectionShowsWhatASessionHolds() throws {
        func inspect() throws -> [String: Any] { try #require(try Leafcutter.run("inspect", session, "--json").json) }
        #expect(
            try generate(
                [
                    "春", "--seed", "5", "--eos-id", "0", "--max-tokens", "6", "-n", "2", "--logprobs", "2", "--session",
                    session,
                ]
            ).status == 0)
        var json = try inspect()
        #expect(json["seed"] as? Int == 5 && json["tokens"] as? Int == 6)
        #expect((json["prompt_ids"] as? [Int])?.first == 6)
        let texts = try #require(json["texts"] as? [[String: Any]])
        #expect(texts.map { $0["tokens"] as? Int } == [6, 6] && texts.allSatisfy { $0["has_ended"] as? Bool == false })
        let options = try #require(json["options"] as? [String: String])
        #expect(options["temperature"] == "0.9" && options["eos_id"] == "0" && options["decoding"] == "sampling")
        let text = try Leafcutter.run("inspect", session).text
        #expect(text.contains("6 tokens; a larger --max-tokens continues it") && text.contains("top-p"), "\(text)")

        try FileManager.default.removeItem(atPath: session)
        #expect(
            try generate(["《登鹳雀楼》王之涣\n", "--greedy", "--session", session]).status == 0)
        json = try inspect()
        #expect((json["texts"] as? [[String: Any]])?.first?["has_ended"] as? Bool == true)
        try FileManager.default.removeItem(atPath: session)
        #expect(try generate(["春", "--beams", "2", "--max-tokens", "4", "--session", session]).status == 0)
        #expect((try inspect()["texts"] as? [[String: Any]])?.first?["has_ended"] as? Bool == true)

        let bytes = try Data(contentsOf: URL(filePath: session))
        try bytes.dropLast(9).write(to: URL(filePath: session))
        try Leafcutter.expectRefusal(["inspect", session], 1, "cut off")
        try Leafcutter.expectRefusal(["inspect", session, "--tensors"], 2, "no tensors")
    }
}
