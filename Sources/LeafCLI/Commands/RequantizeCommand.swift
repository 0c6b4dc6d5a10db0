import LeafArguments
import LeafExecutor
import LeafFormat
import LeafImport
import LeafSystem
import LeafWire
import Leafcutter

/// `leafcutter requantize MODEL OUT.leaf --weights q4`
struct RequantizeCommand: Command {
    var model = ""
    var output = ""
    var weights: QuantizedWeightsArgument?
    var calibrationText: String?
    var memory = MemoryBudget.automatic
    var threads: Int?
    var replacesExisting = false
    var startsAnew = false
    var common = CommonOptions()

    static let syntax = CommandSyntax<RequantizeCommand>(
        name: "requantize", summary: "Make a model file of another one, with fewer bits a weight.",
        discussion: """
            q4 weights take half the bytes of int8, and so half the time where a disk or memory is the limit; q3 \
            weights take two fifths, and differ more from the int8 model. The token table stays int8. The checkpoint \
            is not needed. From q4 or q3, --weights int8 makes the int8 model that computes exactly the same. What was \
            interrupted goes on when the same command is run again.

            With --calibrate the model reads a text first, and the codes are chosen for what its matrices then met. \
            Give some pages of the kind of text that the model is for: they halve the differences, other text helps \
            little. \(mostTokens) tokens at most are read, 512 on each sweep.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .required("OUT.leaf", "The model file to make.", \.output, suggest: .file),
        ],
        options: [
            .value(
                "weights", "TYPE", "q4, q3 or int8.", \.weights,
                suggest: .words(QuantizedWeightsArgument.allCases.map(\.rawValue))),
            .value(
                "calibrate", "FILE", "Choose q4 or q3 codes by a text in UTF-8; - is standard input.",
                \.calibrationText, suggest: .file),
            .value("memory", "SIZE", "The most memory to take (default: under 1 GiB).", \.memory),
            .number("threads", "N", .threads, "Threads (default: the cores that the process may use).", \.threads),
            .flag("force", "Replace OUT.leaf if it exists.", \.replacesExisting),
            .flag("no-resume", "Begin again instead of going on with an interrupted run.", \.startsAnew),
        ] + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "requantize ant.leaf ant-q4.leaf --weights q4",
            "requantize ant.leaf ant-q3.leaf --weights q3 --calibrate news.txt",
            "requantize ant-q4.leaf same.leaf --weights int8",
        ])

    /// Tokens of a text that codes are chosen by.
    private static let mostTokens = 16_384

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let weights else { throw LeafError(.usage, "--weights is missing; give q4, q3 or int8") }
        var options = RequantizationOptions()
        options.weights = weights.format
        if case .bytes(let bytes) = memory { options.memoryBudget = bytes }
        options.threads = threads ?? Machine.current().cores
        options.replacesExisting = replacesExisting
        options.resumes = !startsAnew
        options.instructionSet = try InstructionSet.wanted().rawValue
        let interrupt = terminal.interrupt
        let memory = options.memoryBudget
        var reading: (() throws(LeafError) -> CalibratedInputs)?
        if let path = calibrationText {
            try OutputTarget.check(output, isNoneOf: [path])
            reading = { () throws(LeafError) in try calibrate(by: path, memory: memory, terminal) }
        }
        let result = try Requantizer(model: model, output: output, options: options).run(
            calibrate: reading,
            isCancelled: { interrupt.isRequested },
            progress: {
                terminal.progress.show(
                    Progress("requantizing", bytes: $0.bytesDone, of: $0.bytesTotal, skipped: $0.bytesResumed))
            })
        for warning in result.warnings { terminal.warn(warning) }
        result.tell(terminal, weights, asJSON: common.isJSON)
    }

    /// Reads a text with the model.
    private func calibrate(
        by path: String, memory: Int?, _ terminal: Terminal
    ) throws(LeafError) -> CalibratedInputs {
        var options = ModelOptions(
            memory: .bytes(memory ?? Requantizer.usualBytes), threads: threads,
            instructionSet: try InstructionSet.wanted())
        let file = try ModelFile(path: model, toPlanFor: options.memory)
        let text = try TextTokens(path: path, file.requireTokenizer())
        options.callerBytes = text.bytes(longest: text.limit)
        let calibration = try Calibration(file, beside: output, options)
        var windows = WindowSource(text, try TextWindows(context: Calibration.window, prefix: 1, stride: nil))
        var progress = Progress("calibrating", 0, "token")
        progress.sweep = .step
        terminal.progress.show(progress)
        defer { terminal.progress.clear() }
        while calibration.tokens < Self.mostTokens, let window = try windows.next(terminal) {
            try calibration.read(window.prefix + window.target, cancellation: terminal.interrupt.cancellation)
            progress.done?.count = calibration.tokens
            terminal.progress.show(progress)
        }
        terminal.note("read \(Quantity.count(calibration.tokens, "token")) of \(path)")
        return try calibration.finish()
    }
}
