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
        #expect(try note("春\u{1F980}\u{1F980}").contains("dropped 2 characters \(lacking)"))
    }
}
