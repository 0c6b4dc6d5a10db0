import Foundation
import GoldenSupport
import Testing

/// What people bring from other programs.
@Suite struct HabitTests {
    private let model: String

    init() throws { model = try Models.shared.get().demo }

    @Test func modelAndPromptHaveLettersAndNamesMayHoldUnderscores() throws {
        let usual = try Leafcutter.run("generate", model, "春\n", "--greedy", "--max-tokens", "6", "-q")
        #expect(usual.status == 0 && !usual.text.isEmpty)
        let words = ["generate", "-m", model, "-p", "春\n", "--temperature", "0", "--max_tokens=6", "-q"]
        let other = try Leafcutter.run(words)
        #expect(other.status == 0, "\(other.error)")
        #expect(other.text == usual.text)
    }

    @Test(arguments: ["run", "chat"]) func othersNamesForGeneratingLeadToIt(command: String) throws {
        let run = try Leafcutter.run(command, model, "x")
        #expect(run.status == 2 && run.error.contains("there is no command \(command); generate continues a text"))
        #expect(run.error.contains("serve shows a page") == (command == "chat"))
    }

    @Test func aBackslashAndAnNAreWarnedAboutOnce() throws {
        let words = ["generate", model, #"春\n日\n"#, "--stop", #"\n"#, "--greedy", "--max-tokens", "2", "-q"]
        let run = try Leafcutter.run(words)
        #expect(run.status == 0)
        let warning = "warning: --stop holds a backslash and an n, which is no line break; "
        #expect(run.error == warning + "$'...\\n' makes one in bash and zsh\n")
        #expect(!run.text.contains("warning"))
        let real = try Leafcutter.run("generate", model, "春\n日\n", "--greedy", "--max-tokens", "2", "-q")
        #expect(real.error.isEmpty, "\(real.error)")
    }

    /// Nobody is asked about a checkpoint that is not there.
    @Test func consumingLooksForTheSourceBeforeItAsks() throws {
        let folder = try TemporaryDirectory()
        try Leafcutter.expectRefusal(
            ["convert", folder.path("none"), folder.path("out.leaf"), "--consume"], 1, "no such file")
    }

    @Test func oneCharacterThatIsUnknownIsOne() throws {
        func note(_ prompt: String) throws -> String {
            try Leafcutter.run("generate", model, prompt, "--greedy", "--max-tokens", "1").error
        }
        let lacking = "of the prompt that the vocabulary lacks"
        #expect(try note("春\u{1F980}").contains("dropped 1 character \(lacking)"))
        #expect(try note("春\u{1F980}\u{1F980}").contains("dropped 2 characters \(lacking): \u{1F980}\n"))
        // What nobody sees is seen.
        #expect(try note("春\u{200B}").contains("\(lacking): \\u{200b}\n"))
    }

    /// An answer says what of its text was not read, whatever was asked.
    @Test func everyAnswerNamesWhatTheVocabularyLacks() throws {
        let folder = try TemporaryDirectory()
        let path = folder.path("text.txt")
        try Data("春\u{1F980}眠\u{1F43A}\u{1F980}".utf8).write(to: URL(filePath: path))
        let text = "春\u{1F980}<blank:1>\u{1F43A}\u{1F980}眠"
        let commands: [[String]] = [
            ["generate", model, text, "--max-tokens", "1", "--json"],
            ["generate", model, "春\u{1F980}", "--suffix", "\u{1F43A}。", "--json"],
            ["fill", model, text, "--json"], ["score", model, text], ["embed", model, text],
            ["perplexity", model, path, "--json"], ["perplexity", model, path, "--lines"],
            ["score", model, "春\u{1F980}", "--option", "眠\u{1F43A}", "--option", "晓"],
        ]
        for words in commands {
            let run = try Leafcutter.run(words)
            let answer = try run.json ?? #require(run.objects.first, "\(words) \(run.error)")
            #expect(answer["unknown"] as? [String] == ["\u{1F980}", "\u{1F43A}"], "\(words) \(run.text)")
            #expect(words.last == "--lines" || run.error.contains(" that the vocabulary lacks: \u{1F980} \u{1F43A}\n"))
        }
        for words in [["--json"], ["--json", "--words"]] {
            let run = try Leafcutter.run(["tokenize", model, "春\u{1F980}\u{1F43A}\u{1F980}"] + words)
            #expect(run.json?["unknown"] as? [String] == ["\u{1F980}", "\u{1F43A}"], "\(run.text)")
        }
        #expect(try Leafcutter.run("tokenize", model, "春", "--json").json?["unknown"] == nil)
        for (kind, fields) in [
            ("generate", #""prompt":"TEXT","max_tokens":1"#), ("fill", #""text":"TEXT<blank:1>""#),
            ("score", #""context":"春","target":"TEXT""#), ("embed", #""text":"TEXT""#),
        ] {
            let lines = ["眠\u{1F980}", "眠"].map { "{\"kind\":\"\(kind)\",\(fields.replacing("TEXT", with: $0))}" }
            let requests = try folder.file(lines)
            let answers = folder.path("\(kind).jsonl")
            let run = try Leafcutter.run(kind, model, "--requests", requests, "--ordered", "-q")
            #expect(try run.objects.map { $0["unknown"] as? [String] } == [["\u{1F980}"], nil], "\(run.text)")
            #expect(try Leafcutter.run("batch", model, requests, answers, "-q").status == 0)
            let written = try String(contentsOfFile: answers, encoding: .utf8)
            #expect(written.components(separatedBy: "\"unknown\":[\"\u{1F980}\"]").count == 2, "\(written)")
        }
    }
}
