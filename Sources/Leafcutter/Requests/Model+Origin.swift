import LeafExecutor
import LeafFormat
import LeafImport
package import LeafSystem

extension Model {
    /// What decides every answer beside its request, by name: for whoever keeps answers and adds to them later.
    ///
    /// - Throws: `.usage` for options that make no sense, `.io` and `.badInput` when an adapter or a soft prompt cannot
    ///   be read.
    package static func origin(
        of file: ModelFile, _ options: ModelOptions
    ) throws(LeafError) -> [(name: String, value: String)] {
        let settings = try Settings(file, options)
        let kernels = try WeightKernels(settings.instructionSet.rawValue)
        var origin = [
            (name: "software", value: leafcutterVersion), (name: "model", value: file.leaf.digest),
            (name: "kv", value: settings.executor.kv.rawValue),
            (name: "activations", value: settings.executor.activations.rawValue),
        ]
        for adapter in file.tunings.adapters {
            origin.append(("delta \(adapter.name ?? "")", try adapter.file.digest(kernels).hexDigits))
        }
        for softPrompt in file.tunings.softPrompts {
            origin.append(("prompt-embedding \(softPrompt.name ?? "")", try softPrompt.file.digest(kernels).hexDigits))
        }
        return origin
    }
}
