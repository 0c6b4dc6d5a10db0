import FoundationEssentials
import LeafArguments
import Leafcutter

/// `leafcutter logits MODEL --input CASES.json --output OUT.safetensors`
struct LogitsCommand: Command {
    var model = ""
    var input: String?
    var output: String?
    var lastOnly = false
    var tuning = TuningOptions()
    var engine = EngineOptions()
    var common = CommonOptions()

    static let syntax = CommandSyntax<LogitsCommand>(
        name: "logits", summary: "Compute logits of given ids, to compare with another implementation.",
        discussion: """
            CASES.json holds {"cases":[{"id","input_ids":[..],"task":2,"segment":2}]}, ids with <s>; the soft prompt is \
            put in front. The full form of a case has every array of CPM-Live's inference: \
            {"id","input","length","context","segment","span"}. The output has one float32 tensor for each case, \
            [rows, vocabulary], without the rows of the soft prompt.
            """,
        arguments: [.required("MODEL", "A .leaf file.", \.model, suggest: .file)],
        options: [
            .value("input", "FILE", "The cases.", \.input, suggest: .file),
            .value("output", "FILE", "The safetensors file to write.", \.output, suggest: .file),
            .flag("last", "Only the last row of each case.", \.lastOnly),
        ] + TuningOptions.all.map { $0.lifted(\.tuning) }
            + EngineOptions.all.map { $0.lifted(\.engine) } + CommonOptions.all.map { $0.lifted(\.common) },
        examples: ["logits ant.leaf --input cases.json --output logits.safetensors --kv f32"])

    private struct Cases: Decodable {
        let cases: [LogitsCase]
    }

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let input, let output else {
            throw LeafError(.usage, "--input CASES.json and --output OUT.safetensors are both needed")
        }
        let cases = try read(input)
        let file = try tuning.open(model, memory: engine.memory)
        let rowCounts = cases.map { $0.rowCount(in: file.configuration) }
        let rows = max(1, rowCounts.max() ?? 1)
        let capacity = ModelOptions.Capacity(context: rows, rows: rows, logitRows: lastOnly ? 1 : rows)
        let loaded = try Model(file, engine.modelOptions(capacity))
        let summary = try loaded.writeLogits(of: cases, to: output, lastOnly: lastOnly) { done in
            terminal.progress.show("computing: \(done) of \(cases.count) cases")
        }
        terminal.note(
            "\(output): \(Quantity.count(summary.rows, "row")) of \(Quantity.count(summary.cases, "case")), "
                + "\(ByteCount(bytes: summary.bytes))")
        guard common.isJSON else { return }
        terminal.output.write(
            JSONText.object([
                ("output", .string(output)), ("cases", .integer(summary.cases)), ("rows", .integer(summary.rows)),
                ("bytes", .integer(summary.bytes)), ("memory", .memory(loaded)), ("io", .io(loaded)),
            ]).line + "\n")
    }

    private func read(_ path: String) throws(LeafError) -> [LogitsCase] {
        let file = try InputFile(path: path)
        let bytes = try file.bytes(at: 0, count: file.byteCount)
        do {
            return try JSONDecoder().decode(Cases.self, from: Data(bytes)).cases
        } catch {
            throw LeafError(.badInput, "\(path): \(DecodingProblem(error)); see leafcutter logits --help for the form")
        }
    }
}
