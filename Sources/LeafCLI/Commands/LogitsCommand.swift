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
        let (cases, refusal) = try read(input, file, &options)
        let rowCounts = cases.map { $0.rowCount(in: file.configuration) }
        options.capacity = demand(rows: rowCounts.max() ?? 1)
        // What reading took besides is given back before the model is opened.
        options.callerBytes = LogitsInput.byteCount(of: cases)
        if let refusal { throw try Self.larger(refusal, file, options) }
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

    /// What computing the logits of a case of so many rows needs.
    private func demand(rows: Int) -> Demand {
        Demand(context: max(1, rows), rows: max(1, rows), logitRows: lastOnly ? 1 : max(1, rows))
    }

    /// Bytes that reading cases may take where the budget is too small for it: what computing with them needs is known
    /// only then. Of more only the outline is read.
    private static let spareBytes = 16 << 20

    /// What computing with the cases of a file needs at most.
    private func outlined(
        _ input: InputBytes, _ model: ModelFile, _ options: ModelOptions
    ) throws(LeafError) -> ModelOptions {
        var outline = LogitsInput.Outline()
        while let piece = try input.next(waiting: 0), !piece.isEmpty {
            try Interrupt.shared.check()
            outline.add(piece)
        }
        var options = options
        options.capacity = demand(rows: model.configuration.promptLength +| outline.longestList)
        options.callerBytes = outline.byteCount
        return options
    }

    /// Of a refusal to read and one to compute, the one that names more.
    private static func larger(
        _ reading: LeafError, _ file: ModelFile, _ options: ModelOptions
    ) throws(LeafError) -> LeafError {
        do throws(LeafError) {
            _ = try Model.plan(file, options)
            return reading
        } catch {
            guard case .memory(let bytes)? = error.advice, case .memory(let least)? = reading.advice, bytes < least
            else { return error }
            return reading
        }
    }

    /// - Parameter options: get the bytes that reading takes, which have to fit before it begins.
    /// - Returns: the refusal beside the cases, if the budget is too small for reading them and they are few.
    private func read(
        _ path: String, _ model: ModelFile, _ options: inout ModelOptions
    ) throws(LeafError) -> ([LogitsCase], refusal: LeafError?) {
        let input = try InputBytes(path: path)
        var most = Self.inputLimit
        var refusal: LeafError?
        if let byteCount = input.byteCount, byteCount <= most {
            refusal = try refusalToRead(byteCount, model, &options)
            if let refusal, options.callerBytes > Self.spareBytes {
                throw try Self.larger(refusal, model, outlined(input, model, options))
            }
        } else if input.byteCount == nil {
            // Nobody knows how much comes: it may be as much as there is room for.
            let room = try Self.room(model, options)
            while Self.readingBytes(most) > max(room, Self.spareBytes) { most /= 2 }
        }
        guard let bytes = try input.all(atMost: most) else {
            let reason =
                most < Self.inputLimit
                ? "which is all that there is memory for; write the cases to a file, or split them"
                : "which is all that is read at once; split the cases"
            throw LeafError(.badInput, "\(input.name) has more than \(ByteCount(bytes: most)), \(reason)")
        }
        if input.byteCount == nil { refusal = try refusalToRead(bytes.count, model, &options) }
        do throws(LeafError) {
            return (try LogitsInput.cases(json: bytes[...]), refusal)
        } catch {
            throw LeafError(.badInput, "\(input.name): \(error); see leafcutter logits --help for the form")
        }
    }

    /// What a plan leaves; nothing where there is none.
    private static func room(_ model: ModelFile, _ options: ModelOptions) throws(LeafError) -> Int {
        do throws(LeafError) {
            let plan = try Model.plan(model, options)
            return plan.budget - plan.minimum
        } catch {
            guard error.kind == .budget else { throw error }
            return 0
        }
    }

    /// Nil if there is room for reading so many bytes.
    private func refusalToRead(
        _ byteCount: Int, _ model: ModelFile, _ options: inout ModelOptions
    ) throws(LeafError) -> LeafError? {
        options.callerBytes = Self.readingBytes(byteCount)
        do throws(LeafError) {
            _ = try Model.plan(model, options)
            return nil
        } catch {
            guard error.kind == .budget else { throw error }
            return error
        }
    }

    /// What reading cases of so many bytes takes: what comes of a pipe is in an array that has doubled.
    private static func readingBytes(_ count: Int) -> Int {
        LogitsInput.heapBound(byteCount: count) +| count +| 2 * InputBytes.pieceBytes
    }
}
