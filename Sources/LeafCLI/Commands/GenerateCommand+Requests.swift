import LeafArguments
import Leafcutter

/// `leafcutter generate MODEL --requests FILE.jsonl`
extension GenerateCommand {
    func runRequests(
        _ path: String, _ defaults: RequestLine.Defaults, _ terminal: Terminal
    ) throws(LeafError) {
        let start = ContinuousClock.now
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model, memory: engine.memory)
        let entries = try RequestFile(path: path, defaults: defaults, for: file).entries
        for entry in entries {
            let place = "\(path), line \(entry.line): "
            if entry.isEmpty { terminal.warn(place + "nothing of the prompt is known; the text begins from <s> alone") }
            if let warning = entry.request.lengthWarning(in: file.configuration) { terminal.warn(place + warning) }
        }
        let demands = entries.map { $0.request.demand(in: file.configuration) }
        let run = try SharedRun(demands, sequences: batch.count, engine, file, since: start, terminal)
        var (tokens, finished, failed) = (0, 0, 0)
        func answer(_ entry: RequestFile.Entry, _ outcome: Result<Generation, LeafError>) -> JSONText {
            switch outcome {
            case .success(let generation):
                return GenerationAnswer(
                    request: entry.request, generation: generation, model: run.model, loadSeconds: run.loadSeconds
                ).json(id: entry.id)
            case .failure(let error):
                failed += 1
                return ["id": entry.id, "error": .string(error.description)]
            }
        }
        try run.model.generate(
            entries.map(\.request), isCancelled: { run.isCancelled },
            onEvent: { place, event in
                switch event {
                case .piece(let piece): tokens += piece.id == nil ? 0 : 1
                case .finished(let outcome):
                    finished += 1
                    terminal.print(answer(entries[place], outcome))
                }
                terminal.progress.show(
                    "generating: \(Quantity.count(tokens, "token")), \(finished) of \(entries.count) requests finished")
            })
        terminal.progress.clear()
        run.tell(
            tokens: tokens, requests: entries.count, rows: tokens + demands.reduce(0) { $0 + $1.firstRows })
        try run.finishTrace()
        if run.isInterrupted {
            throw LeafError(.cancelled, "interrupted after \(Quantity.count(tokens, "token"))")
        }
        if failed > 0 {
            throw LeafError(.badInput, "\(failed) of \(entries.count) requests failed; their answers say why")
        }
    }
}

extension GenerationRequest {
    /// What to tell of a prompt that is longer than those CPM-Ant learned from; nil if it is not.
    func lengthWarning(in configuration: ModelConfiguration) -> String? {
        let length = prompt.length(in: configuration)
        guard length > PromptRows.trainedLength else { return nil }
        return
            "the prompt has \(length) tokens, soft prompt included; CPM-Ant was trained on \(PromptRows.trainedLength) "
            + "and does less well beyond"
    }
}

/// `103=-5`
struct LogitBiasArgument: ArgumentValue {
    let id: Int32
    let value: Float

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let id = Int32(argument: String(parts[0])),
            let value = Float(argument: String(parts[1]))
        else { return nil }
        self.id = id
        self.value = value
    }

    static var expectation: String { "a token id and what to add to its logit, such as 103=-5" }
}

extension Compatibility: ArgumentValue {}
