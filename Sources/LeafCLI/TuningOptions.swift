import LeafArguments
import LeafSystem
import LeafWire
import Leafcutter

/// Options for adapters and soft prompts, for every command that computes.
struct TuningOptions: Sendable {
    var deltas: [NamedFile] = []
    var alpha: Float?
    var promptEmbeddings: [NamedFile] = []
    /// Of commands with `corpus`.
    var draftCorpus: String?

    static let adapters: [CommandOption<TuningOptions>] = [
        .values(
            "delta", "[NAME=]FILE",
            "A LoRA adapter: OpenDelta's best.pt, its folder by save_finetuned, safetensors, or PEFT's folder. Several "
                + "have names, by which requests choose (\"delta\").", \.deltas, suggest: .file),
        .number(
            "delta-alpha", "A", .init(above: 0), "Its alpha (default: what its configuration says, else 16).", \.alpha),
    ]

    static let all: [CommandOption<TuningOptions>] =
        adapters + [
            .values(
                "prompt-embedding", "[NAME=]FILE",
                "A trained soft prompt in place of the task's, in safetensors or torch's format; names as with --delta.",
                \.promptEmbeddings, suggest: .file)
        ]

    static let corpus = CommandOption<TuningOptions>.value(
        "draft-corpus", "FILE",
        "With --speculate ngram or auto: a text of the kind that is going to be written; what stands in it is guessed.",
        \.draftCorpus, suggest: .file)

    /// Opens a model file with all of them.
    ///
    /// - Parameters:
    ///   - memory: the budget that the model will have.
    ///   - terminal: is told how they were read, where somebody wants to know.
    func open(
        _ path: String, memory: MemoryBudget = .automatic, _ terminal: Terminal? = nil
    ) throws(LeafError) -> ModelFile {
        let file = try beside(ModelFile(path: path, toPlanFor: memory), memory: memory)
        for note in file.notes { terminal?.detail(note) }
        return file
    }

    /// The model file with all of them.
    func beside(_ model: ModelFile, memory: MemoryBudget = .automatic) throws(LeafError) -> ModelFile {
        var file = model
        for delta in deltas {
            try file.addAdapter(path: delta.path, alpha: alpha, named: delta.name)
        }
        for prompt in promptEmbeddings {
            try file.addSoftPrompt(path: prompt.path, named: prompt.name)
        }
        if let draftCorpus { try file.addDraftCorpus(path: draftCorpus, memory: memory) }
        guard alpha == nil || !deltas.isEmpty else {
            throw LeafError(.usage, "--delta-alpha belongs to --delta FILE, which is missing")
        }
        return file
    }
}

extension TuningOptions {
    /// The words of a command line for another process with the same options.
    var words: [String] {
        deltas.flatMap { ["--delta", $0.argument] } + (alpha.map { ["--delta-alpha", "\($0)"] } ?? [])
            + promptEmbeddings.flatMap { ["--prompt-embedding", $0.argument] }
    }
}

extension NamedFile: ArgumentValue {
    package static let expectation = "a file, or a name and a file such as poems=best.pt"
}
