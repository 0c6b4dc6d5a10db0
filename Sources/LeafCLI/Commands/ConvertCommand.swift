import Glibc
import LeafArguments
import LeafExecutor
import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter convert SOURCE OUT.leaf`
struct ConvertCommand: Command {
    var source = ""
    var output = ""
    var weights = WeightsArgument.int8
    var config: String?
    var vocab: String?
    var masks: String?
    var memory = MemoryBudget.automatic
    var threads: Int?
    var replacesExisting = false
    var startsAnew = false
    var consumes = false
    var isSure = false
    var common = CommonOptions()

    static let syntax = CommandSyntax<ConvertCommand>(
        name: "convert", summary: "Make a model file of a CPM-Ant checkpoint.",
        discussion: """
            SOURCE is a Hugging Face folder (config.json with safetensors or pytorch_model*.bin), a CPM-Live .pt file \
            with its .json, or what BMCook saved of one: int8, or pruned with its .cnofig.json. A conversion that was interrupted goes on when the same \
            command is run again. With --consume the disk needs little more room than the checkpoint takes: what has \
            been converted safely is freed at once, and the weights are deleted in the end.
            """,
        arguments: [
            .required("SOURCE", "Folder or file of the checkpoint.", \.source, suggest: .file),
            .required("OUT.leaf", "The model file to make.", \.output, suggest: .file),
        ],
        options: options + [
            .flag("consume", "Delete the checkpoint's weights as they are converted (asks first).", \.consumes),
            .flag("yes", "Do not ask.", \.isSure),
        ],
        examples: [
            "convert cpm-ant-10b/ ant.leaf", "convert cpm-ant-10b.pt ant.leaf --config cpm-ant-10b.json --weights f16",
        ])

    /// Options that `merge` has too.
    static let options: [CommandOption<ConvertCommand>] =
        [
            .value(
                "weights", "TYPE", "int8 (default), q4 (half its bytes), q3 (fewer still), f16 or f32.", \.weights,
                suggest: .words(WeightsArgument.allCases.map(\.rawValue))),
            .value(
                "config", "FILE", "The configuration, if it does not lie beside the weights.", \.config, suggest: .file),
            .value("vocab", "FILE", "vocab.txt, if it does not lie beside the weights.", \.vocab, suggest: .file),
            .value(
                "masks", "FILE", "BMCook's masks, where pruned layers kept some of their heads.", \.masks,
                suggest: .file),
            .value("memory", "SIZE", "The most memory to take (default: under 1 GiB).", \.memory),
            .number("threads", "N", .threads, "Threads (default: the cores that the process may use).", \.threads),
            .flag("force", "Replace OUT.leaf if it exists.", \.replacesExisting),
            .flag("no-resume", "Begin again instead of going on with an interrupted conversion.", \.startsAnew),
        ] + CommonOptions.all.map { $0.lifted(\.common) }

    func run(_ terminal: Terminal) throws(LeafError) {
        var options = try conversionOptions()
        options.consumes = consumes
        // Nobody is asked about what is not there; the converter says so.
        if consumes, !isSure, FilePath.exists(source) { try confirm() }
        try run(options, terminal)
    }

    func conversionOptions() throws(LeafError) -> ConversionOptions {
        var options = ConversionOptions()
        options.weights = weights.format
        options.configurationPath = config
        options.vocabularyPath = vocab
        options.masksPath = masks
        if case .bytes(let bytes) = memory { options.memoryBudget = bytes }
        options.replacesExisting = replacesExisting
        options.instructionSet = try InstructionSet.wanted().rawValue
        options.resumes = !startsAnew
        options.threads = threads ?? Machine.current().cores
        return options
    }

    func run(_ options: ConversionOptions, _ terminal: Terminal) throws(LeafError) {
        let interrupt = terminal.interrupt
        let result = try Converter(source: source, output: output, options: options).run(
            isCancelled: { interrupt.isRequested },
            progress: {
                terminal.progress.show(
                    Progress("converting", bytes: $0.bytesDone, of: $0.bytesTotal, skipped: $0.bytesResumed))
            })
        for warning in result.warnings { terminal.warn(warning) }
        result.tell(
            terminal, weights, asJSON: common.isJSON,
            making: result.wasMadeEarlier ? "an earlier run had made it, and there is nothing left to do" : nil,
            asked: [("tensors", .integer(result.tensors))])
        if consumes { terminal.note("the weights of \(source) were deleted") }
    }

    /// Asks whether the checkpoint may be deleted.
    private func confirm() throws(LeafError) {
        guard StandardInput.isTerminal, isatty(STDERR_FILENO) == 1 else {
            throw LeafError(
                .usage,
                "--consume deletes \(source) while it converts it; add --yes if that is meant, nobody can be asked")
        }
        StandardError.write("\(source.printable) will be deleted while it is converted. Go on? [y/N] ")
        let input = try LineReader(path: "-", limit: 1024)
        guard case .value(let line) = try input.next(), ["y", "yes"].contains(try line.text().lowercased()) else {
            throw LeafError(.usage, "nothing was done")
        }
    }
}
