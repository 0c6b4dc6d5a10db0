import Foundation
import GoldenSupport
import Testing

/// Every command that runs a model, with the smallest budget that its refusal names and with twice that.
@Suite(
    "The promise of each command", .serialized,
    .enabled(if: Program.isBuilt, "LEAFCUTTER_BIN names no program; make test sets it"))
struct CommandBudgetTests {
    /// What is run, and what must come of it.
    struct Run: CustomTestStringConvertible, Sendable {
        let name: String
        /// `MODEL` and the names of `Inputs` stand for paths.
        let arguments: [String]
        /// One of `Inputs`.
        var input: String? = nil
        var isPiped = false
        /// Lines on standard output; nil where that is no count of answers.
        var answers: Int?
        /// What a server is asked, before it is stopped.
        var body: String?

        var testDescription: String { name }
    }

    /// Lines of requests, each so long that a program that holds all of them overruns a small budget.
    private static let lineCount = 600
    private static let requestCount = 64
    /// A line behind answers that are JSON, and a heading before those of a table.
    private static let summary = 1

    static let runs: [Run] = [
        Run(name: "generate", arguments: ["generate", "MODEL", "今天", "--max-tokens", "8"]),
        Run(name: "generate -n 8", arguments: ["generate", "MODEL", "今天", "--max-tokens", "8", "-n", "8"]),
        Run(
            name: "generate --suffix", arguments: ["generate", "MODEL", "今天", "--max-tokens", "8", "--suffix", "气"]),
        Run(name: "generate --beams 4", arguments: ["generate", "MODEL", "今天", "--max-tokens", "8", "--beams", "4"]),
        Run(
            name: "generate --logprobs 1000",
            arguments: [
                "generate", "MODEL", "今天", "--max-tokens", "100", "--logprobs", "1000", "--logit-bias", "7=-1000",
                "--json",
            ], answers: 1),
        Run(
            name: "generate --session",
            arguments: ["generate", "MODEL", "今天", "--max-tokens", "8", "--session", "OUTPUT", "--seed", "1"]),
        Run(
            name: "generate --trace",
            arguments: ["generate", "MODEL", "今天", "--max-tokens", "8", "--trace", "OUTPUT"]),
        Run(
            name: "generate --requests FILE",
            arguments: ["generate", "MODEL", "--requests", "prompts.jsonl", "--max-tokens", "1"],
            answers: lineCount + summary),
        Run(
            name: "generate --requests -, a pipe",
            arguments: ["generate", "MODEL", "--requests", "-", "--max-tokens", "1"], input: "prompts.jsonl",
            isPiped: true, answers: lineCount + summary),
        Run(
            name: "score FILE", arguments: ["score", "MODEL", "--requests", "scores.jsonl"],
            answers: requestCount + summary),
        Run(
            name: "score, a pipe", arguments: ["score", "MODEL", "--requests", "-"], input: "scores.jsonl",
            isPiped: true, answers: requestCount + summary),
        Run(name: "fill --beams 4", arguments: ["fill", "MODEL", "今天<blank:4>气", "--beams", "4"]),
        Run(
            name: "fill FILE", arguments: ["fill", "MODEL", "--requests", "blanks.jsonl"],
            answers: requestCount + summary),
        Run(
            name: "fill, a pipe", arguments: ["fill", "MODEL", "--requests", "-"], input: "blanks.jsonl",
            isPiped: true, answers: requestCount + summary),
        Run(name: "embed, a file", arguments: ["embed", "MODEL", "-"], input: "texts.txt", answers: requestCount),
        Run(
            name: "embed --pool none, a pipe", arguments: ["embed", "MODEL", "-", "--pool", "none"],
            input: "long.txt", isPiped: true, answers: 8),
        Run(
            name: "generate --ordered --echo-prompt",
            arguments: [
                "generate", "MODEL", "--requests", "prompts.jsonl", "--max-tokens", "1", "--ordered", "--echo-prompt",
            ], answers: lineCount + summary),
        Run(
            name: "generate --prompts, a pipe, as a table",
            arguments: [
                "generate", "MODEL", "--prompts", "-", "--max-tokens", "4", "--ordered", "--echo-prompt", "--format",
                "tsv",
            ], input: "texts.txt", isPiped: true, answers: requestCount + summary),
        Run(
            name: "generate --logprobs 200 --ordered",
            arguments: [
                "generate", "MODEL", "--prompts", "texts.txt", "--max-tokens", "20", "--logprobs", "200",
                "--logit-bias",
                "7=-1000", "--ordered",
            ], answers: requestCount + summary),
        Run(
            name: "score --ordered, a pipe", arguments: ["score", "MODEL", "--requests", "-", "--ordered"],
            input: "scores.jsonl", isPiped: true, answers: requestCount + summary),
        Run(
            name: "embed --prompts --pool none --ordered",
            arguments: ["embed", "MODEL", "--prompts", "long.txt", "--pool", "none", "--normalize", "--ordered"],
            answers: 8 + summary),
        Run(
            name: "perplexity --lines, a pipe",
            arguments: ["perplexity", "MODEL", "-", "--lines", "--context", "512", "--echo-prompt"], input: "long.txt",
            isPiped: true, answers: 8 + summary),
        Run(
            name: "perplexity FILE", arguments: ["perplexity", "MODEL", "long.txt", "--context", "64"]),
        Run(
            name: "perplexity, a pipe", arguments: ["perplexity", "MODEL", "-", "--context", "64"], input: "long.txt",
            isPiped: true),
        Run(
            name: "logits", arguments: ["logits", "MODEL", "--input", "cases.json", "--output", "OUTPUT", "--json"],
            answers: 1),
        Run(name: "evaluate", arguments: ["evaluate", "MODEL", "C3", "C3.jsonl"]),
        Run(name: "evaluate, a pipe", arguments: ["evaluate", "MODEL", "C3", "-"], input: "C3.jsonl", isPiped: true),
        Run(name: "batch", arguments: ["batch", "MODEL", "batch.jsonl", "OUTPUT", "--json"], answers: 1),
        Run(
            name: "serve", arguments: ["serve", "MODEL"],
            body: #"{"prompt":"今天","max_tokens":200,"logprobs":20,"logit_bias":{"7":-1000},"stream":true}"#),
        Run(
            name: "serve, the longest body", arguments: ["serve", "MODEL"],
            body: #"{"prompt":"今天","max_tokens":1,"logit_bias":{"7":-1000},"stream":true,"user":""#
                + String(repeating: "天", count: 340_000) + #""}"#),
        Run(name: "convert", arguments: ["convert", "CHECKPOINT", "OUTPUT", "--force", "--quiet"], answers: 0),
    ]

    let directory: TemporaryDirectory

    /// `plan` opens no model, and `bench` gives each of its budgets to a process of its own.
    @Test func noCommandIsForgotten() {
        let planned = Set(CommandRun.every.filter(\.isPlanned).map(\.command))
        let run = planned.subtracting(["plan", "bench"]).union(["convert", "serve"])
        #expect(Set(Self.runs.map { $0.arguments[0] }) == run)
    }

    init() throws {
        directory = try TemporaryDirectory()
        let converted = try Program.run(["convert", Golden.demoModel.path, directory.path("MODEL"), "--quiet"])
        try #require(converted.status == 0, "\(converted.errors)")
    }

    /// Resident bytes with the smallest budget; what a control group is charged, page cache included, with that limit
    /// and with twice that.
    @Test(arguments: runs) func staysWithinItsBudget(_ run: Run) throws {
        try makeInputs(of: run)
        let smallest = try Program.smallestBudget { budget in
            let outcome = try start(run, budget: budget)
            #expect(outcome.status == 0 || outcome.peak < 64 << 20)
            return outcome
        }
        for (budget, limit) in [(smallest, nil), (smallest, smallest), (2 * smallest, 2 * smallest)] {
            let outcome = try start(run, budget: budget, under: Program.hasCgroups ? limit : nil)
            #expect(outcome.status == 0, "\(budget): \(outcome.errors)")
            #expect(outcome.peak <= budget, "\(outcome.errors)")
            Self.note("\(run.name)\t\(budget >> 20)\t\(limit == nil ? "VmHWM" : "charged")\t\(outcome.peak >> 10)")
            if let answers = run.answers {
                #expect(outcome.output.count { $0 == UInt8(ascii: "\n") } == answers)
            }
            if run.body != nil {
                let answer = String(decoding: outcome.output, as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains("data: [DONE]"), "\(answer.prefix(500))")
            }
        }
    }

    /// Adds a line to the file that `LEAFCUTTER_PEAKS` names, for the table in the results.
    private static func note(_ line: String) {
        guard let path = ProcessInfo.processInfo.environment["LEAFCUTTER_PEAKS"], let file = fopen(path, "a") else {
            return
        }
        fputs(line + "\n", file)
        fclose(file)
    }

    private func start(_ run: Run, budget: Int, under limit: Int? = nil) throws -> Program.Outcome {
        // Of the run before.
        // A job is one of its own: what is kept of another is not written over.
        for name in ["OUTPUT", "OUTPUT.job"] { try? FileManager.default.removeItem(atPath: directory.path(name)) }
        let arguments = run.arguments.map { word in
            switch word {
            case "CHECKPOINT": Golden.demoModel.path
            case "MODEL", "OUTPUT": directory.path(word)
            default: Self.inputs[word] == nil ? word : directory.path(word)
            }
        }
        if let body = run.body {
            return try Program.serve(arguments + ["--memory", "\(budget)"], asking: body, under: limit)
        }
        let input = run.input.map { run.isPiped ? Program.Input.pipe(directory.path($0)) : .file(directory.path($0)) }
        return try Program.run(arguments + ["--memory", "\(budget)"], input ?? .none, under: limit)
    }

    private func makeInputs(of run: Run) throws {
        for name in run.arguments + [run.input].compactMap({ $0 }) {
            guard let make = Self.inputs[name] else { continue }
            try make().write(toFile: directory.path(name), atomically: false, encoding: .utf8)
        }
    }

    private static let inputs: [String: @Sendable () throws -> String] = [
        // Long lines, and little to compute.
        "prompts.jsonl": {
            lines(lineCount) { _ in #"{"prompt":"春天""# + String(repeating: " ", count: 60_000) + "}" }
        },
        // Every kind of request, and long lines.
        "batch.jsonl": {
            lines(lineCount) { number in
                let fields =
                    switch number % 8 {
                    case 0: #""kind":"fill","text":"今天<blank:1>气""#
                    case 1: #""kind":"score","context":"今天","target":"天气""#
                    case 2: #""kind":"embed","text":"今天天气""#
                    default: #""kind":"generate","prompt":"春天","max_tokens":1"#
                    }
                return #"{"id":\#(number),"# + fields + String(repeating: " ", count: 60_000) + "}"
            }
        },
        "scores.jsonl": {
            lines(requestCount) {
                #"{"context":"今天","target":""# + String(repeating: "天", count: $0 % 8 == 0 ? 400 : 4) + #""}"#
            }
        },
        "blanks.jsonl": { lines(requestCount) { _ in #"{"text":"今天<blank:1>气"}"# } },
        "C3.jsonl": {
            try String(contentsOf: Golden.root.appendingPathComponent("evaluation/C3.jsonl"), encoding: .utf8)
        },
        "texts.txt": { lines(requestCount) { _ in "今天天气" } },
        "long.txt": { lines(8) { _ in String(repeating: "天气", count: 220) } },
        // Recorded cases hold what they were made of as well.
        "cases.json": {
            #"{"cases":[{"id":"a","input_ids":[6,20,30],"made_of":""# + String(repeating: "x", count: 48 << 20)
                + #""}]}"#
        },
    ]

    private static func lines(_ count: Int, _ line: (Int) -> String) -> String {
        (0..<count).map { line($0) + "\n" }.joined()
    }
}

@Suite("The promise to a program that embeds the library") struct EmbeddedBudgetTests {
    /// `Examples/Embedding` opens its model with 128 MiB. The library leaves the allocator as the program has it, so
    /// this promise includes what glibc keeps in the arenas of as many threads as there are, and the Swift runtime's
    /// libraries.
    @Test func theExampleStaysWithinTheBudgetThatItGives() throws {
        let directory = try TemporaryDirectory()
        let program = try #require(Program.url, "LEAFCUTTER_BIN names no program; make test sets it")
        let converted = try Program.run(program, ["convert", Golden.demoModel.path, directory.path("demo.leaf"), "-q"])
        try #require(converted.status == 0, "\(converted.errors)")
        for limit in Program.hasCgroups ? [nil, 128 << 20] : [nil] {
            let outcome = try Program.run(
                Golden.builtProduct("embedding"), [directory.path("demo.leaf"), "《登鹳雀楼》王之涣\n"], under: limit)
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.peak <= 128 << 20)
            #expect(outcome.peak > 8 << 20, "nothing was measured")
        }
    }
}
