import LeafExecutor
public import LeafGeneration
import LeafImport
public import LeafSystem

extension Session {
    /// Checks, before a model is opened, that a request can start in this session or continue it.
    ///
    /// - Throws: `.usage` naming what differs from the session, `.badInput` for a damaged file, `.io`.
    public static func check(
        _ request: GenerationRequest, for file: ModelFile, _ options: ModelOptions
    ) throws(LeafError) {
        guard request.session != nil else { return }
        _ = try request.resumed(from: Settings(file, options).sessionOrigin(of: request))
    }
}

extension Settings {
    /// Where all lies that a model with these options reads.
    private var paths: [String] {
        let draft = if case .model(let draft) = drafting.source { draft.file.paths } else { [String]() }
        return file.paths + draft + (reading.mirror.map { [$0] } ?? [])
    }

    /// Everything besides the request that decides its texts.
    ///
    /// - Throws: `.io` and `.badInput` when an adapter or a soft prompt cannot be read, `.usage` for a session that
    ///   would take the place of what the model reads.
    func sessionOrigin(of request: GenerationRequest) throws(LeafError) -> [SessionHead.Field] {
        try request.session?.check(isNoneOf: paths)
        var (delta, promptEmbedding) = ("none", "none")
        let kernels = try WeightKernels(instructionSet.rawValue)
        if let adapter = request.prompt.tuning.adapter {
            delta = try file.tunings.adapters[adapter].file.digest(kernels).hexDigits
        }
        if let softPrompt = try file.tunings.softPrompt(of: request.options) {
            promptEmbedding = try file.tunings.softPrompts[softPrompt].file.digest(kernels).hexDigits
        }
        return [
            .init(.software, leafcutterVersion), .init(.model, file.leaf.digest), .init(.kv, executor.kv.rawValue),
            .init(.activations, executor.activations.rawValue), .init(.delta, delta),
            .init(.promptEmbedding, promptEmbedding),
        ]
    }
}
