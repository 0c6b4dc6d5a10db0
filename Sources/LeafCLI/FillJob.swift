import LeafFormat
import LeafWire
import Leafcutter

/// One text whose blanks are filled.
struct FillJob {
    let file: ModelFile
    let request: FillRequest
    let engine: EngineOptions
    let began: ContinuousClock.Instant

    /// Prints what became of the text, and tells of what the vocabulary lacks and of a seed that was drawn.
    ///
    /// - Parameters:
    ///   - result: the line to print; `json` is printed instead if `isJSON`.
    /// - Throws: the reason if it was not filled.
    func run(
        _ terminal: Terminal, isJSON: Bool, result: (Filling) -> String,
        json: (_ filling: Filling, _ run: SharedRun) -> JSON
    ) throws(LeafError) {
        terminal.note(request.context.unknown, of: "the text")
        let demands = request.demands(in: file.configuration)
        let positions = demands.map(\.longest).max() ?? 0
        let run = try SharedRun(
            demands, count: 1, bytes: AnswerRoom.generation(tokens: positions, samples: 1, logprobs: nil).written,
            sequences: request.sequences, of: "sequence", engine, file, since: began,
            terminal)
        if positions > PromptRows.trainedLength { terminal.warn(Self.lengthWarning(positions)) }
        var outcome = Result<Filling, LeafError>.failure(LeafError(.cancelled, "interrupted"))
        try run.model.answer(
            [request], cancellation: run.cancellation, onAnswer: { outcome = $1 },
            onProgress: {
                var progress = Progress("filling", run.model.counters.sweeps, "sweep")
                progress.sweep = .step
                progress.rows = $0.rows
                terminal.progress.show(progress)
            })
        terminal.progress.clear()
        if case .success(let filling) = outcome {
            if isJSON {
                terminal.print(json(filling, run))
            } else {
                terminal.output.write(result(filling) + "\n")
                terminal.output.flush()
            }
            let options = request.options
            if options.decoding == .sampling, options.seed == nil { terminal.note("seed \(filling.seed)") }
            if filling.tokenCount > 0 { run.tell(tokens: filling.tokenCount, requests: 1) }
        }
        try run.finishTrace()
        if run.isInterrupted { throw LeafError(.cancelled, "interrupted") }
        _ = try outcome.get()
    }

    /// What to tell of a text that is longer than those CPM-Ant learned from.
    static func lengthWarning(_ positions: Int) -> String {
        "the text has \(positions) tokens, soft prompt included; CPM-Ant was trained on "
            + "\(PromptRows.trainedLength) and does less well beyond"
    }
}
