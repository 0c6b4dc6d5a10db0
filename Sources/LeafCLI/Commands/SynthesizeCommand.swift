import CPMAntShape
import LeafArguments
import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter synthesize OUT.leaf --preset NAME`
struct SynthesizeCommand: Command {
    var output = ""
    var preset: ModelPreset?
    var weights = WeightsArgument.int8
    var seed: UInt64 = 0
    var around: String?
    var threads: Int?
    var replacesExisting = false
    var common = CommonOptions()

    static let syntax = CommandSyntax<SynthesizeCommand>(
        name: "synthesize", summary: "Make a model file of a published size without a download.",
        discussion: """
            The weights are random numbers of a trained model's statistics: enough to plan and to measure with. With \
            --around the large model computes exactly what a small one does, so its text can be checked as well. The \
            same seed gives the same bytes. What was interrupted goes on when the same command is run again.
            """,
        arguments: [.required("OUT.leaf", "The model file to make.", \.output, suggest: .file)],
        options: [
            .value(
                "preset", "NAME", "The size, such as cpm-ant-3b.", \.preset,
                suggest: .words(ModelPreset.allCases.map(\.rawValue))),
            .value(
                "weights", "TYPE", "int8 (default), q4, q3, f16 or f32.", \.weights,
                suggest: .words(WeightsArgument.allCases.map(\.rawValue))),
            .value("seed", "N", "Of the random numbers (default 0).", \.seed),
            .value(
                "around", "SMALL.leaf", "A model with the same --weights that the large one is to compute exactly.",
                \.around,
                suggest: .file),
            .number("threads", "N", .threads, "Threads (default: the cores that the process may use).", \.threads),
            .flag("force", "Replace OUT.leaf if it exists.", \.replacesExisting),
        ] + CommonOptions.all.map { $0.lifted(\.common) },
        examples: [
            "synthesize ant-10b.leaf --preset cpm-ant-10b",
            "synthesize ant-10b.leaf --preset cpm-ant-10b --around demo.leaf",
        ])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard let preset else {
            throw LeafError(
                .usage, "the size is missing; give --preset with \(ModelPreset.expectation), such as cpm-ant-10b")
        }
        var options = SynthesisOptions()
        options.weights = weights.format
        options.seed = seed
        options.smallModelPath = around
        options.replacesExisting = replacesExisting
        options.threads = threads ?? Machine.current().cores

        let interrupt = terminal.interrupt
        let result = try Synthesizer(preset, output: output, options: options).run(
            isCancelled: { interrupt.isRequested },
            progress: {
                terminal.progress.show(
                    Progress("writing", bytes: $0.bytesDone, of: $0.bytesTotal, skipped: $0.bytesResumed))
            })
        for warning in result.warnings { terminal.warn(warning) }
        result.tell(
            terminal, weights, asJSON: common.isJSON,
            asked: [("preset", .string(preset.rawValue)), ("seed", .unsigned(seed))])
    }
}
