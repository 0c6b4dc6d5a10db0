import Foundation
import GoldenSupport
import Testing

@Suite struct CommandLineTests {
    private static let commands = [
        "convert", "requantize", "export", "inspect", "verify", "tokenize", "generate", "batch", "logits", "plan",
        "bench",
        "doctor", "completions",
    ]

    @Test func helpListsEveryCommand() throws {
        let run = try Leafcutter.run("--help")
        #expect(run.status == 0)
        #expect(run.error.isEmpty)
        for command in Self.commands { #expect(run.text.contains("\n  \(command) "), "\(command)") }
    }

    @Test(arguments: commands) func everyCommandHasHelpWithExamples(command: String) throws {
        let run = try Leafcutter.run(command, "--help")
        #expect(run.status == 0)
        #expect(run.error.isEmpty)
        #expect(run.text.contains("Usage: leafcutter \(command)"))
        #expect(run.text.contains("Examples:\n  leafcutter \(command)"))
    }

    @Test func versionIsPrinted() throws {
        let run = try Leafcutter.run("--version")
        #expect(run.status == 0)
        #expect(run.text.hasPrefix("leafcutter 0."))
    }

    @Test(arguments: [
        (["genrate", "m.leaf"], "leafcutter: there is no command genrate; did you mean generate?"),
        (["generate", "m.leaf", "x", "--memroy", "1GiB"], "there is no option --memroy; did you mean --memory?"),
        (
            ["generate", "m.leaf", "x", "--top-p", "7"],
            "--top-p 7 is not a number from 0 to 1; 0.9 is usual and 0 turns it off"
        ),
        (
            ["generate", "m.leaf", "x", "--temperature", "-0.5"],
            "--temperature -0.5 is not a number from 0 to 1000; 0 is --greedy"
        ),
        (["generate", "m.leaf", "x", "--memory", "big"], "--memory big is not a size"),
        (["generate", "m.leaf", "x", "--io", "warp"], "--io warp is not one of auto, map, direct, buffered"),
        (["generate", "m.leaf", "x", "-n", "0"], "--number 0 is not a whole number from 1 to 1024"),
        (["generate", "m.leaf", "x", "y"], "'y' is one argument too many"),
        (["generate", "m.leaf", "x", "--mem\u{AD}ory", "1GiB"], "no option --mem\\u{ad}ory; did you mean --memory?"),
        (["convert", "source", "out", "--weights", "int4"], "--weights int4 is not one of int8, q4, q3, f16, f32"),
        (["synthesize", "out", "--weights", "q5"], "--weights q5 is not one of int8, q4, q3, f16, f32"),
        (["requantize", "m.leaf", "out", "--weights", "f16"], "--weights f16 is not one of q4, q3, int8"),
        (["export", "m.leaf", "out", "--weights", "q4"], "--weights q4 is not one of f16, f32"),
        (["tokenize", "m.leaf", "x", "--decode", "--words"], "do not go together"),
        (["completions", "tcsh"], "tcsh is not one of bash, zsh, fish"),
        (["verify"], "MODEL is missing"),
        (["convert", "source", ""], "OUT.leaf is empty"),
        (["convert", "source", "out", "--vocab="], "--vocab needs a value"),
        ([], "a command is missing"),
    ])
    func wrongUsageIsOneSentenceAndExitCode2(arguments: [String], sentence: String) throws {
        let run = try Leafcutter.run(arguments)
        #expect(run.status == 2)
        #expect(run.output.isEmpty)
        let last = run.error.split(separator: "\n").last ?? ""
        #expect(last.hasPrefix("leafcutter"))
        #expect(last.contains(sentence), "\(last)")
        if !arguments.isEmpty { #expect(run.error.split(separator: "\n").count == 1, "\(run.error)") }
    }

    @Test func brokenUTF8InAnArgumentIsRefused() throws {
        let run = try Leafcutter.shell(#"exec "$0" generate m.leaf "$(printf 'a\377b')""#)
        #expect(run.status == 2)
        #expect(run.error.contains("argument 3 is not valid UTF-8"))
    }

    @Test func aReaderThatGoesAwayEndsTheProgramQuietly() throws {
        let run = try Leafcutter.shell(#""$0" completions fish | head -c 1 > /dev/null; echo "${PIPESTATUS[0]}""#)
        #expect(run.text == "0\n")
        #expect(run.error.isEmpty)
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func aFullDiskUnderStandardOutputIsAnError() throws {
        let run = try Leafcutter.shell(#""$0" --help > /dev/full"#)
        #expect(run.status == 1)
        #expect(run.error.contains("standard output: No space left on device"))
    }
}
