import LeafArguments
import LeafExecutor
import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter export MODEL FOLDER`
struct ExportCommand: Command {
    var model = ""
    var folder = ""
    var weights: FloatWeightsArgument?
    var replacesExisting = false
    var common = CommonOptions()

    static let syntax = CommandSyntax<ExportCommand>(
        name: "export", summary: "Make a Hugging Face folder of a model file.",
        discussion: """
            Writes safetensors in shards, config.json and vocab.txt, which transformers loads as CpmAntForCausalLM. \
            int8 weights become floats again. What FOLDER holds stays until all of that is whole.
            """,
        arguments: [
            .required("MODEL", "A .leaf file.", \.model, suggest: .model),
            .required("FOLDER", "The folder to make.", \.folder, suggest: .folder),
        ],
        options: [
            .value(
                "weights", "TYPE", "f16 or f32 (default: f16 where that loses nothing).", \.weights,
                suggest: .words(FloatWeightsArgument.allCases.map(\.rawValue))),
            .flag(
                "force",
                "Replace config.json, vocab.txt, model.safetensors, model-*-of-*.safetensors, "
                    + "model-head.safetensors and their .index.json; those that the export does not make are removed.",
                \.replacesExisting),
        ] + CommonOptions.all.map { $0.lifted(\.common) }, examples: ["export ant.leaf cpm-ant/"])

    func run(_ terminal: Terminal) throws(LeafError) {
        var options = ExportOptions()
        options.weights = weights?.format
        options.replacesExisting = replacesExisting
        options.instructionSet = try InstructionSet.wanted().rawValue
        let interrupt = terminal.interrupt
        let result = try Exporter(model: model, folder: folder, options: options).run(
            isCancelled: { interrupt.isRequested },
            progress: { terminal.progress.show(Progress("exporting", bytes: $0.bytesDone, of: $0.bytesTotal)) })
        terminal.note(
            "\(result.output): \(Quantity.count(result.tensors, "tensor")) in \(Quantity.count(result.shards, "file")), "
                + "\(result.bytes.diskText) (\(result.weights.rawValue)), made in \(result.seconds.asDuration)"
        )
        guard common.isJSON else { return }
        terminal.output.write(
            JSON.object([
                ("output", .string(result.output)), ("parameters", .integer(result.parameters)),
                ("bytes", .integer(result.bytes)), ("seconds", .number(result.seconds)),
                ("tensors", .integer(result.tensors)), ("shards", .integer(result.shards)),
                ("weights", .string(result.weights.rawValue)), ("peak_bytes", .integer(result.peakBytes)),
            ]).line + "\n")
    }
}
