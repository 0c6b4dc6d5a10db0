import LeafArguments
import LeafWire
import Leafcutter

/// `leafcutter merge SOURCE --delta FILE OUT.leaf`
struct MergeCommand: Command {
    var conversion = ConvertCommand()
    var tuning = TuningOptions()

    var common: CommonOptions { conversion.common }

    static let syntax = CommandSyntax<MergeCommand>(
        name: "merge", summary: "Make a model file of a checkpoint with LoRA adapters merged into it.",
        discussion: """
            Adds what the adapters add to the weights, in float32, before they are stored; several are all added. The \
            model needs no --delta then and runs as fast as without. SOURCE is the checkpoint, as for convert: int8 \
            weights of a model file would be rounded twice.
            """,
        arguments: [
            .required("SOURCE", "Folder or file of the checkpoint.", \.conversion.source, suggest: .file),
            .required("OUT.leaf", "The model file to make.", \.conversion.output, suggest: .file),
        ],
        options: TuningOptions.adapters.map { $0.lifted(\.tuning) }
            + ConvertCommand.options.map { $0.lifted(\.conversion) },
        examples: ["merge cpm-ant-10b/ --delta best.pt ant-poems.leaf"])

    func run(_ terminal: Terminal) throws(LeafError) {
        guard !tuning.deltas.isEmpty else { throw LeafError(.usage, "--delta FILE is missing") }
        var options = try conversion.conversionOptions()
        options.adapters = tuning.deltas.map { .init(path: $0.path, alpha: tuning.alpha) }
        try conversion.run(options, terminal)
    }
}
