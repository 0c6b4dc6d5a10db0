import Foundation
import GoldenSupport
import LeafArguments
import LeafCLI
import LeafSystem
import Leafcutter
import Testing

/// Whatever stands behind an option: a value, or one sentence. In this process, so that a trap ends the tests.
@Suite struct ExtremeOptionTests {
    private static let values = [
        "", "0", "-0", "-1", "1", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        "-9223372036854775809", "18446744073709551615", "2147483647", "-2147483648", "2147483648", "1099511627776",
        "0.0",
        "-0.0", "1e-400", "1e-45", "1e38", "-1e38", "1e400", "-1e400", "nan", "-nan", "inf", "-inf", "infinity", "0x10",
        "1e", "+1", "1,2", "1=2", "=", "1=", "-1=1e38", "0=-1e38", "9223372036854775807GiB", "1e400GiB", "0GB", "-1MiB",
        "9223372036854775807B", "0MB/s", "1e400GB/s", "-1MB/s", "\u{FFFD}", "\u{0}", "\u{301}", "٣", "１２",
        String(repeating: "9", count: 400), "auto", ",", "6,,7",
    ]

    /// Nil if it ran.
    private func refusal(_ words: [String]) -> LeafError? {
        do throws(LeafError) {
            try Program.run(words)
            return nil
        } catch {
            return error
        }
    }

    private func expectSentence(_ error: LeafError, _ words: [String]) {
        #expect(!error.description.isEmpty && !error.description.hasSuffix("."), "\(words): \(error)")
        #expect(error.description.utf8.count < 2000, "\(words): \(error)")
    }

    /// Every option of every command. What parses is refused behind it: nothing was named to work with.
    @Test func everyOptionTakesEveryValueOrRefusesIt() {
        var tried = 0
        for command in Program.outlines where command.name != "completions" {
            for option in command.options {
                guard option.placeholder != nil else { continue }
                for value in Self.values {
                    let words = [command.name, "--\(option.name)=\(value)"]
                    guard let error = refusal(words) else {
                        Issue.record("\(words) ran")
                        continue
                    }
                    expectSentence(error, words)
                    #expect(error.kind == .usage || option.name == "from", "\(words): \(error)")
                    tried += 1
                }
            }
        }
        #expect(tried > 5000)
    }

    /// What is no number is refused with those that the option takes, whatever command has it.
    @Test(arguments: ["nan", "inf", "2,5", "0x10", "１２", " 5"]) func whatIsNoNumberIsToldTheRange(value: String) {
        let numbers: Set = ["N", "K", "B", "P", "T", "F", "R", "A", "ID", "SHARE", "SECONDS"]
        var tried = 0
        for command in Program.outlines {
            for option in command.options where option.placeholder.map(numbers.contains) == true {
                let sentence = refusal([command.name, "--\(option.name)", value])?.description ?? "it ran"
                let range =
                    /.+ is not a (whole )?number (from -?[0-9.]+ to [0-9^ -]+|of at least [0-9]+|above 0)(; .+)?/
                let isNamed = sentence.hasPrefix("--\(option.name) ")
                #expect(isNamed && sentence.wholeMatch(of: range) != nil, "\(command.name): \(sentence)")
                tried += 1
            }
        }
        #expect(tried > 80)
    }

    /// What parses goes on as far as the plan, which needs more memory than there may be.
    @Test func everyNumberReachesThePlanOrIsRefused() throws {
        let folder = try TemporaryDirectory()
        let model = try Models.shared.get().demo
        let least = try Model.plan(
            ModelFile(path: model), ModelOptions(memory: .bytes(.max), capacity: .init(context: 1))
        ).minimum
        let inputs = try TemporaryDirectory()
        try CommandRun.makeInputs(in: inputs)
        let paths = ["MODEL": model, "OUTPUT": folder.path("output")]
        let others = [
            ["generate", model, "春", "--suffix", "光"],
            // What can be read but once is planned for by options alone.
            ["generate", model, "--requests", "/dev/null"], ["fill", model, "--requests", "/dev/null"],
            ["score", model, "--requests", "/dev/null"], ["perplexity", model, "/dev/null"],
        ]
        let commands = CommandRun.every.filter(\.isPlanned).map { $0.words(nil, paths, inputs: inputs) } + others
        // What names files, and what ends before there is a plan.
        let untried: Set = [
            "memory", "output", "input", "trace", "session", "requests", "prompts", "delta", "prompt-embedding",
            "mirror", "from", "errors",
            "ids", "suffix", "preset",
        ]
        // What decides how much a plan holds, tried with every command.
        let sizes: Set = ["context", "batch", "number", "beams", "max-tokens", "max-blank", "prefix", "logprobs"]
        let values = ["0", "-1", "9223372036854775807", "-9223372036854775808", "2147483647", "1e38", "-1e38", "0.0"]
        var planned = 0
        // What several commands declare once is tried once.
        var declarations: Set<String> = []
        for command in commands {
            let outline = try #require(Program.outlines.first { $0.name == command[0] })
            for option in outline.options where option.placeholder != nil && !untried.contains(option.name) {
                let isNew = declarations.insert(option.name + option.help).inserted
                guard isNew || sizes.contains(option.name) else { continue }
                for value in values {
                    let words = command + ["-q", "--memory=\(least - 1)", "--\(option.name)=\(value)"]
                    guard let error = refusal(words) else {
                        Issue.record("\(words) ran")
                        continue
                    }
                    expectSentence(error, words)
                    if error.kind == .budget { planned += 1 }
                }
            }
        }
        #expect(declarations.count > 30 && planned > 50, "\(declarations.count) \(planned)")
        #expect(!FileManager.default.fileExists(atPath: folder.path("output")))
    }

    /// Commands that make a file of a model have no plan.
    @Test func everyNumberMakesAFileOrIsRefused() throws {
        let folder = try TemporaryDirectory()
        let checkpoint = Golden.model("ant-tiny-c").appendingPathComponent("hf").path
        var made = 0
        for (words, options) in [
            (["convert", checkpoint, folder.path("a.leaf")], ["threads", "memory"]),
            (["merge", checkpoint, folder.path("b.leaf"), "--delta", checkpoint], ["threads", "memory"]),
            (["synthesize", folder.path("c.leaf"), "--preset", "tiny"], ["threads", "seed"]),
        ] {
            for option in options {
                for value in Self.values {
                    let words = words + ["-q", "--force", "--\(option)=\(value)"]
                    if let error = refusal(words) { expectSentence(error, words) } else { made += 1 }
                }
            }
        }
        #expect(made > 10)
    }
}
