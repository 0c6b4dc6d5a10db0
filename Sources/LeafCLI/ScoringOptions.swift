import LeafArguments
import Leafcutter

/// What commands that read whole texts on shared sweeps understand.
struct ScoringOptions: Sendable {
    var task = 2
    var segment = 2
    var batch = BatchSize(8)
    var tuning = TuningOptions()
    var engine = EngineOptions()

    /// - Parameter task: the help of `--task`.
    static func all(
        task: String = "Soft prompt (default 2; CPM-Live's LoRA examples use 1)."
    ) -> [CommandOption<ScoringOptions>] {
        [
            .value("task", "N", task, \.task),
            .value("segment", "N", "Segment of the text (default 2).", \.segment),
            .value("batch", "B", "Texts on a sweep at most (default 8); fewer if memory is short.", \.batch),
        ] + TuningOptions.all.map { $0.lifted(\.tuning) } + EngineOptions.all.map { $0.lifted(\.engine) }
    }

    /// Which soft prompt and segment texts have.
    var form: GenerationOptions { GenerationOptions(task: task, segment: segment) }

    func open(_ path: String, _ terminal: Terminal) throws(LeafError) -> ModelFile {
        terminal.progress.show("opening \(path)")
        return try tuning.open(path, memory: engine.memory)
    }

    /// Answers requests on shared sweeps, and says what it took.
    ///
    /// - Parameters:
    ///   - counted: how many tokens of how many requests the statistics name.
    ///   - onAnswer: handed a request's place and its answer, in the order in which they come.
    ///   - finish: prints what is known when all have been answered.
    /// - Throws: the first failure, `.cancelled` when interrupted.
    func answer<Request: ModelRequest>(
        _ requests: [Request], _ file: ModelFile, _ terminal: Terminal, counted: (tokens: Int, requests: Int),
        onAnswer: (_ place: Int, _ answer: Request.Answer) -> Void,
        finish: (_ model: Model) throws(LeafError) -> Void = { _ in }
    ) throws(LeafError) {
        let demands = requests.map { $0.demand(in: file.configuration) }
        let run = try SharedRun(demands, sequences: batch.count, engine, file, terminal)
        var failure: LeafError?
        try run.model.answer(
            requests, isCancelled: { run.isCancelled },
            onAnswer: { place, answer in
                switch answer {
                case .failure(let error): failure = failure ?? error
                case .success(let answer): onAnswer(place, answer)
                }
            })
        terminal.progress.clear()
        if failure == nil { try finish(run.model) }
        run.tell(tokens: counted.tokens, requests: counted.requests, rows: demands.reduce(0) { $0 + $1.firstRows })
        if let failure { throw failure.kind == .cancelled ? LeafError(.cancelled, "interrupted") : failure }
    }
}

/// `--batch`: sequences on a sweep at most.
struct BatchSize: ArgumentValue {
    let count: Int

    init(_ count: Int) { self.count = count }

    init?(argument: String) {
        guard let count = Int(argument), (1...GenerationOptions.mostSequences).contains(count) else { return nil }
        self.count = count
    }

    static var expectation: String { "a whole number from 1 to \(GenerationOptions.mostSequences)" }
}
