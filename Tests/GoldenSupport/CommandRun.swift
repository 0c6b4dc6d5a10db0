import Foundation

/// A command line that runs a command on a small model. Each command of the program has at least one in `every`.
public struct CommandRun: CustomStringConvertible, Sendable {
    /// What stands at `OUTPUT`.
    public enum Output: Sendable {
        /// Written from its beginning to its end, wherever it leads.
        case result
        /// A regular file that is replaced when it is whole.
        case model
        /// The same for what a generation keeps.
        case session
        /// Grows as long as the work takes, with a record beside it; another run goes on from both.
        case answers
        case folder
    }

    public let name: String
    /// `MODEL` and `TINY` stand for paths of models, with a tokenizer and without; so do `CHECKPOINT`, `ADAPTER`,
    /// `OUTPUT` and the names of `inputs`.
    public let arguments: [String]
    public let output: Output?
    /// Words with which it does not end by itself, or not soon; nil if it is always over at once.
    public let lasting: [String]?
    /// Whether it measures the machine, which takes seconds.
    public let isSlow: Bool
    /// Whether it opens a model inside a budget.
    public let isPlanned: Bool

    public init(
        name: String, arguments: [String], output: Output? = nil, lasting: [String]? = nil, isSlow: Bool = false,
        isPlanned: Bool = false
    ) {
        (self.name, self.arguments, self.output) = (name, arguments, output)
        (self.lasting, self.isSlow, self.isPlanned) = (lasting, isSlow, isPlanned)
    }

    public var description: String { name }
    public var command: String { arguments[0] }

    /// Weights of this disk never come.
    private static let slowly = ["--max-read-rate", "1kB/s", "--memory", "160MiB"]

    public static let every: [CommandRun] = [
        CommandRun(name: "convert", arguments: ["convert", "CHECKPOINT", "OUTPUT"], output: .model),
        CommandRun(
            name: "merge", arguments: ["merge", "CHECKPOINT", "OUTPUT", "--delta", "ADAPTER"], output: .model),
        run("generate", ["春", "--max-tokens", "2", "--greedy"]),
        run("generate", ["春", "--max-tokens", "2", "--greedy", "--trace", "OUTPUT"], .result),
        run("generate", ["春", "--max-tokens", "2", "--seed", "1", "--session", "OUTPUT"], .session),
        run("generate", ["--requests", "prompts.jsonl", "--greedy"]),
        run("fill", ["床前<blank:1>光"]),
        run("fill", ["--requests", "blanks.jsonl", "--trace", "OUTPUT"], .result),
        run("score", ["--requests", "scores.jsonl"]),
        run("perplexity", ["text.txt"]),
        run("embed", ["春"]),
        run("evaluate", ["CCPM", "items.jsonl", "--output", "OUTPUT"], .result),
        run("batch", ["batch.jsonl", "OUTPUT"], .answers),
        run("logits", ["--input", "cases.json", "--json", "--output", "OUTPUT"], .result),
        CommandRun(
            name: "bench",
            arguments: [
                "bench", "MODEL", "--in-process", "--memory", "60MiB", "--prompt", "4", "--generate", "2", "--repeat",
                "1", "--output", "OUTPUT",
            ], output: .result,
            lasting: ["bench", "MODEL", "--memory", "60MiB", "--repeat", "10000", "--output", "OUTPUT"],
            isPlanned: true),
        CommandRun(
            name: "bench --from",
            arguments: ["bench", "--from", "runs.jsonl", "--format", "jsonl", "--output", "OUTPUT"], output: .result),
        CommandRun(
            name: "plan", arguments: ["plan", "MODEL", "--disk-rate", "1GB/s"], lasting: ["plan", "MODEL"],
            isSlow: true, isPlanned: true),
        CommandRun(name: "doctor", arguments: ["doctor"], lasting: ["doctor", "MODEL"], isSlow: true),
        CommandRun(name: "inspect", arguments: ["inspect", "MODEL"]),
        CommandRun(name: "verify", arguments: ["verify", "MODEL"]),
        CommandRun(name: "tokenize", arguments: ["tokenize", "MODEL", "春"]),
        CommandRun(
            name: "requantize", arguments: ["requantize", "TINY", "OUTPUT", "--weights", "q4"], output: .model),
        CommandRun(
            name: "requantize --calibrate",
            arguments: ["requantize", "MODEL", "OUTPUT", "--weights", "q3", "--calibrate", "text.txt"],
            output: .model),
        CommandRun(name: "export", arguments: ["export", "TINY", "OUTPUT"], output: .folder),
        CommandRun(
            name: "synthesize", arguments: ["synthesize", "OUTPUT", "--preset", "tiny"], output: .model,
            lasting: ["synthesize", "OUTPUT", "--preset", "cpm-ant-1b"]),
        CommandRun(name: "completions", arguments: ["completions", "bash"]),
    ]

    private static func run(_ command: String, _ words: [String], _ output: Output? = nil) -> CommandRun {
        let arguments = [command, "MODEL"] + words
        let options = words.filter { $0.hasPrefix("--") && $0 != "--greedy" && $0 != "--json" && $0 != "--max-tokens" }
        return CommandRun(
            name: ([command] + options).joined(separator: " "), arguments: arguments, output: output,
            lasting: arguments + slowly, isPlanned: true)
    }

    /// What small files hold.
    public static let inputs = [
        "prompts.jsonl": #"{"prompt":"春","max_tokens":1}"#, "blanks.jsonl": #"{"text":"床前<blank:1>光"}"#,
        "scores.jsonl": #"{"context":"床","target":"光"}"#, "items.jsonl": #"{"input":"春","target":"眠"}"#,
        "text.txt": "白日依山尽，黄河入海流。", "cases.json": #"{"cases":[{"id":"a","input_ids":[6,20]}]}"#,
        "batch.jsonl": #"{"id":"a","kind":"generate","prompt":"春","max_tokens":1}"#,
        "runs.jsonl": #"{"name":"a","budget":5,"decode_seconds_per_token":[0.5]}"#,
    ]

    /// Makes all of them in a folder.
    public static func makeInputs(in folder: TemporaryDirectory) throws {
        for (name, text) in inputs { try Data((text + "\n").utf8).write(to: URL(filePath: folder.path(name))) }
    }

    /// The words with paths in them.
    ///
    /// - Parameters:
    ///   - words: `arguments` unless given.
    ///   - paths: of the models and the output, by the names that stand for them.
    ///   - folder: where the inputs are.
    public func words(
        _ words: [String]? = nil, _ paths: [String: String], inputs folder: TemporaryDirectory
    ) -> [String] {
        (words ?? arguments).map { word in
            switch word {
            case "CHECKPOINT": Golden.model("ant-tiny-c/cpm-live/ant-tiny-c.pt").path
            case "ADAPTER": Golden.root.appendingPathComponent("tuning/best.pt").path
            default: paths[word] ?? (Self.inputs[word] == nil ? word : folder.path(word))
            }
        }
    }
}
