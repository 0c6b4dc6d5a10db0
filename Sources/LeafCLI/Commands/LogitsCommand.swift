import LeafArguments
import LeafFormat
import LeafSystem
import LeafWire
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
        arguments: [.required("MODEL", "A .leaf file.", \.model, suggest: .model)],
        options: [
            .value("input", "FILE", "The cases; - is standard input.", \.input, suggest: .file),
            .value("output", "FILE", "The safetensors file to write.", \.output, suggest: .file),
            .flag("last", "Only the last row of each case.", \.lastOnly),
        ] + TuningOptions.all.map { $0.lifted(\.tuning) }
            + EngineOptions.all.map { $0.lifted(\.engine) } + CommonOptions.all.map { $0.lifted(\.common) },
        examples: ["logits ant.leaf --input cases.json --output logits.safetensors --kv f32"])

    /// Bytes of the cases at most.
    private static let inputLimit = 64 << 20

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let input, let output else {
            throw LeafError(.usage, "--input CASES.json and --output OUT.safetensors are both needed")
        }
        let interrupt = terminal.interrupt
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model, memory: engine.memory, terminal)
        try OutputTarget.check(output, isNoneOf: engine.inputs(of: file) + [input])
        var options = engine.modelOptions(Demand(context: 1))
        let cases = try read(input, file, &options)
        let rowCounts = cases.map { $0.rowCount(in: file.configuration) }
        let rows = max(1, rowCounts.max() ?? 1)
        options.capacity = Demand(context: rows, rows: rows, logitRows: lastOnly ? 1 : rows)
        // What reading took besides is given back before the model is opened.
        options.callerBytes = LogitsInput.byteCount(of: cases)
        let loaded = try Model(file, options)
        try terminal.attend(loaded)
        var done = 0
        func show() {
            var progress = Progress("computing", done, of: cases.count, "case")
            progress.sweep = .step
            terminal.progress.show(progress)
        }
        show()
        let summary: LogitsSummary
        do throws(LeafError) {
            summary = try loaded.writeLogits(
                of: cases, to: output, lastOnly: lastOnly, cancellation: interrupt.cancellation
            ) {
                done = $0
                show()
            }
        } catch {
            guard error.kind == .cancelled else { throw error }
            throw LeafError(
                .cancelled,
                "interrupted after \(done) of \(Quantity.count(cases.count, "case")); \(output) was not written")
        }
        terminal.note(
            "\(output): \(Quantity.count(summary.rows, "row")) of \(Quantity.count(summary.cases, "case")), "
                + "\(summary.bytes.diskText)")
        guard common.isJSON else { return }
        terminal.output.write(
            JSON.object([
                ("output", .string(output)), ("cases", .integer(summary.cases)), ("rows", .integer(summary.rows)),
                ("bytes", .integer(summary.bytes)), ("memory", .memory(loaded)), ("io", .io(loaded)),
            ]).line + "\n")
    }

    /// - Parameter options: get the bytes that reading takes, which have to fit before it begins.
    private func read(
        _ path: String, _ model: ModelFile, _ options: inout ModelOptions
    ) throws(LeafError) -> [LogitsCase] {
        let input = try InputBytes(path: path)
        var most = Self.inputLimit
        if let byteCount = input.byteCount, byteCount <= most {
            options.callerBytes = Self.readingBytes(byteCount)
            _ = try Model.plan(model, options)
        } else if input.byteCount == nil {
            // Nobody knows how much comes: it may be as much as there is room for.
            let plan = try Model.plan(model, options)
            while most > 0, Self.readingBytes(most) > plan.budget - plan.minimum { most /= 2 }
        }
        guard let bytes = try input.all(atMost: most) else {
            let reason =
                most < Self.inputLimit
                ? "which is all that there is memory for; write the cases to a file, or split them"
                : "which is all that is read at once; split the cases"
            throw LeafError(.badInput, "\(input.name) has more than \(ByteCount(bytes: most)), \(reason)")
        }
        do throws(LeafError) {
            return try LogitsInput.cases(json: bytes[...])
        } catch {
            throw LeafError(.badInput, "\(input.name): \(error); see leafcutter logits --help for the form")
        }
    }

    /// What reading cases of so many bytes takes: what comes of a pipe is in an array that has doubled.
    private static func readingBytes(_ count: Int) -> Int {
        LogitsInput.heapBound(byteCount: count) +| count +| 2 * InputBytes.pieceBytes
    }
}
