import LeafArguments
import Leafcutter

/// Options for reading whole texts on shared sweeps.
struct ScoringOptions: Sendable {
    var task = 2
    var segment = 2
    var batch = BatchSize(8)
    var lines = LineOptions()
    var tuning = TuningOptions()
    var engine = EngineOptions()

    /// - Parameter task: the help text of `--task`.
    static func all(
        task: String = "Soft prompt (default 2; CPM-Live's LoRA examples use 1)."
    ) -> [CommandOption<ScoringOptions>] {
        [
            .number("task", "N", .softPrompt, task, \.task),
            .number("segment", "N", .segment, "Segment of the text (default 2).", \.segment),
            .value("batch", "B", "Texts on a sweep at most (default 8); fewer if memory is short.", \.batch),
        ] + TuningOptions.all.map { $0.lifted(\.tuning) } + EngineOptions.all.map { $0.lifted(\.engine) }
    }

    /// The soft prompt and the segment of the texts.
    var form: GenerationOptions { GenerationOptions(task: task, segment: segment) }

    func open(_ path: String, _ terminal: Terminal) throws(LeafError) -> ModelFile {
        terminal.progress.show("opening \(path)")
        return try tuning.open(path, memory: engine.memory, terminal)
    }
}

/// `--batch`: the most sequences on a sweep.
struct BatchSize: ArgumentValue {
    let count: Int

    init(_ count: Int) { self.count = count }

    init?(argument: String) {
        guard let count = Int(argument), (1...GenerationOptions.mostSequences).contains(count) else { return nil }
        self.count = count
    }

    static var expectation: String { "a whole number from 1 to \(GenerationOptions.mostSequences)" }
}
