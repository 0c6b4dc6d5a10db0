import Foundation
import GoldenSupport
import Testing

/// Numbers that no option can mean: each ends in a sentence or is taken for what it says; nothing traps.
@Suite struct ExtremeNumberTests {
    /// A short run of each command, to which an option is added. What is allowed must be over soon.
    private static func runs(_ model: String, _ folder: TemporaryDirectory) throws -> [[String]] {
        let requests = try folder.file([#"{"prompt":"春","max_tokens":1}"#])
        let fills = try folder.file([#"{"text":"春<blank:1>"}"#])
        let scores = try folder.file([#"{"context":"春","target":"眠"}"#])
        let items = try folder.file([#"{"input":"春","target":"眠"}"#])
        let text = folder.path("text")
        try Data("春眠不觉晓，处处闻啼鸟。".utf8).write(to: URL(filePath: text))
        let cases = folder.path("cases.json")
        try Data(#"{"cases":[{"id":"a","input_ids":[6]}]}"#.utf8).write(to: URL(filePath: cases))
        return [
            ["generate", model, "春", "--max-tokens", "1"], ["generate", model, "--requests", requests],
            ["fill", model, "春<blank:1>"], ["fill", model, "--requests", fills],
            ["score", model, "--requests", scores], ["perplexity", model, text], ["embed", model, "春"],
            ["evaluate", model, "LCSTS", items, "--max-tokens", "1"],
            ["logits", model, "--input", cases, "--output", folder.path("logits")],
            ["bench", model, "--in-process", "--prompt", "1", "--generate", "1", "--repeat", "1"],
            // A budget that is too small ends these before anything is measured.
            ["plan", model, "--memory", "1"], ["plan", "--preset", "tiny", "--disk-rate", "1GB", "--memory", "1"],
            ["convert", "nothing", folder.path("out.leaf")],
            ["merge", "nothing", folder.path("out.leaf"), "--delta", "x"],
            ["synthesize", folder.path("tiny.leaf"), "--preset", "tiny", "--force"],
            ["export", model, folder.path("folder"), "--force"], ["tokenize", model, "春"], ["inspect", model],
            ["verify", model],
        ]
    }

    private static let values = [
        "-9223372036854775808", "-1", "0", "1", "9223372036854775807", "99999999999999999999", "1e400", "nan", "-0.0",
    ]
    /// What the help writes where a number goes.
    private static let placeholders: Set<String> = [
        "N", "K", "B", "P", "T", "R", "F", "A", "ID", "SIZE", "SIZES", "RATE", "ID=VALUE", "LIST",
    ]

    @Test func noNumberOfAnyOptionTraps() throws {
        let folder = try TemporaryDirectory()
        let model = try Models.shared.get().demo
        var tried = 0
        for run in try Self.runs(model, folder) {
            let help = try Leafcutter.run(run[0], "--help").text
            let options = help.matches(of: /(?m)^  (?:-\w, )?--([a-z-]+) (\S+)/)
                .filter { Self.placeholders.contains(String($0.output.2)) }
                .map { (name: String($0.output.1), placeholder: String($0.output.2)) }
            for option in options {
                for value in Self.values {
                    let value = option.placeholder == "ID=VALUE" ? "\(value)=\(value)" : value
                    let result = try Leafcutter.run(run + ["--\(option.name)=\(value)", "-q"], input: "")
                    #expect(
                        (0...3).contains(result.status),
                        "\(run) --\(option.name)=\(value): \(result.status) \(result.error)")
                    #expect(result.status == 0 || !result.error.isEmpty)
                    tried += 1
                }
            }
        }
        #expect(tried > 1000)
    }
}
