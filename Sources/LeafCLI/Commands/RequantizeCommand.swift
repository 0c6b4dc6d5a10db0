import LeafArguments
import LeafExecutor
import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter requantize MODEL OUT.leaf --weights q4`
struct RequantizeCommand: Command {
    var model = ""
    var output = ""
    var weights: WeightsArgument?
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
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .required("OUT.leaf", "The model file to make.", \.output, suggest: .file),
        ],
        options: [
            .value("weights", "TYPE", "q4, q3 or int8.", \.weights, suggest: .words(["q4", "q3", "int8"])),
            .value("memory", "SIZE", "The most memory to take (default: under 1 GiB).", \.memory),
            .value("threads", "N", "Threads (default: the cores that the process may use).", \.threads),
            .flag("force", "Replace OUT.leaf if it exists.", \.replacesExisting),
            .flag("no-resume", "Begin again instead of going on with an interrupted run.", \.startsAnew),
        ] + CommonOptions.all.map { $0.lifted(\.common) },
        examples: ["requantize ant.leaf ant-q4.leaf --weights q4", "requantize ant-q4.leaf same.leaf --weights int8"])

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
        let result = try Requantizer(model: model, output: output, options: options).run(
            isCancelled: { interrupt.isRequested },
            progress: {
                terminal.progress.show(
                    Progress("requantizing", bytes: $0.bytesDone, of: $0.bytesTotal, skipped: $0.bytesResumed))
            })
        terminal.note(
            "\(result.output): \(Quantity.parameters(result.parameters)) parameters, "
                + "\(result.bytes.diskText) (\(result.weights.rawValue)), made in \(result.seconds.asDuration) "
                + "at \(result.bytesPerSecond.asByteRate); peak memory \(ByteCount(bytes: result.peakBytes))")
        guard common.isJSON else { return }
        terminal.output.write(
            JSON.object([
                ("output", .string(result.output)), ("parameters", .integer(result.parameters)),
                ("bytes", .integer(result.bytes)), ("seconds", .number(result.seconds)),
                ("weights", .string(result.weights.rawValue)), ("peak_bytes", .integer(result.peakBytes)),
                ("bytes_per_second", .number(result.bytesPerSecond)),
            ]).line + "\n")
    }
}
