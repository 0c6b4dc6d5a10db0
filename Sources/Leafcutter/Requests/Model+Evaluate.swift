public import LeafEvaluation
public import LeafGeneration
public import LeafSystem

extension ModelFile {
    /// How the texts of a task become rows of this model.
    ///
    /// - Parameters:
    ///   - options: the soft prompt, segment and adapter of all tasks, and the options of tasks that generate text.
    ///   - maxLength: the most positions of a text, whose beginning is cut away; nil reads texts whole.
    /// - Throws: `.usage` for a model without a vocabulary, or a length that leaves no token.
    public func evaluationForm(
        of task: some EvaluationTask, _ options: GenerationOptions, maxLength: Int?
    ) throws(LeafError) -> EvaluationForm {
        try EvaluationForm(
            tokenizer: requireTokenizer(), options: options, maxLength: maxLength, generates: task.maxTokens != nil,
            for: configuration, rows: { ids throws(LeafError) in try rows(of: .ids(ids), options) })
    }
}

extension Model {
    /// Runs a task over a stream of items, on shared sweeps.
    ///
    /// - Parameters:
    ///   - form: the result of `ModelFile.evaluationForm`.
    ///   - ahead: the most requests to hold; twice the number that share a sweep keeps every sweep full.
    ///   - cancellation: items that are not done when it is cancelled are left out.
    ///   - next: returns the next item, nil after the last one.
    ///   - onOutput: called on the calling thread for each item, in the order of the items.
    /// - Throws: what `next` throws, `.usage` for an invalid item, and the first failure.
    public func evaluate<Task: EvaluationTask>(
        _ task: Task, _ form: EvaluationForm, ahead: Int, cancellation: Cancellation = Cancellation(),
        next: () throws(LeafError) -> Task.Item?,
        onOutput: (_ number: Int, _ item: Task.Item, _ output: Task.Output) -> Void
    ) throws(LeafError) {
        var outputs = InOrder<(item: Task.Item, output: Task.Output)>()
        var items = 0
        var failure: LeafError?
        let own = Cancellation(parent: cancellation)
        try carryOut(
            ahead: ahead, own,
            next: { _ throws(LeafError) -> Arrival<Asked<OpenItem<Task>, Task.Request>> in
                guard let item = try next() else { return .end }
                let requests = try task.texts(of: item, in: form).requests
                defer { items += 1 }
                return .value((OpenItem(number: items, item: item, answers: requests.map { _ in nil }), requests))
            },
            onEvent: { (open: inout OpenItem<Task>, index: Int, event: Task.Request.Event) in
                switch event.answer {
                case nil: break
                case .failure(let error):
                    guard error.kind != .cancelled else { return }
                    failure = failure ?? error
                    own.cancel()
                case .success(let answer):
                    open.answers[index] = answer
                    let known = open.answers.compactMap { $0 }
                    guard known.count == open.answers.count else { return }
                    outputs.add((open.item, task.output(of: known)), at: open.number) {
                        onOutput($0, $1.item, $1.output)
                    }
                }
            })
        if let failure { throw failure }
    }
}

/// An item that waits for answers.
private struct OpenItem<Task: EvaluationTask> {
    let number: Int
    let item: Task.Item
    var answers: [Task.Request.Answer?]
}
