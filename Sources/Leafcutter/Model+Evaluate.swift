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
        var open = OpenItems<Task>()
        var outputs = InOrder<(item: Task.Item, output: Task.Output)>()
        var failure: LeafError?
        let own = Cancellation(parent: cancellation)
        try answer(
            ahead: ahead, cancellation: own,
            next: { () throws(LeafError) -> Task.Request? in
                while open.waiting.isEmpty {
                    guard let item = try next() else { return nil }
                    open.add(item, try task.texts(of: item, in: form).requests)
                }
                return open.waiting.removeFirst()
            },
            onAnswer: { number, answer in
                switch answer {
                case .failure(let error):
                    guard error.kind != .cancelled else { return }
                    failure = failure ?? error
                    own.cancel()
                case .success(let answer):
                    guard let done = open.take(answer, to: number) else { return }
                    outputs.add((done.item, task.output(of: done.answers)), at: done.number) {
                        onOutput($0, $1.item, $1.output)
                    }
                }
            })
        if let failure { throw failure }
    }
}

/// Items that still wait for answers.
private struct OpenItems<Task: EvaluationTask> {
    private struct Entry {
        let item: Task.Item
        /// The number of its first request.
        let first: Int
        var answers: [Task.Request.Answer?]
    }

    /// Requests of the newest item that have not been taken yet.
    var waiting: ArraySlice<Task.Request> = []
    private var entries: [Int: Entry] = [:]
    private var items = 0
    /// The number of the item that each request belongs to.
    private var owners: [Int: Int] = [:]
    private var requests = 0

    mutating func add(_ item: Task.Item, _ texts: [Task.Request]) {
        entries[items] = Entry(item: item, first: requests, answers: texts.map { _ in nil })
        for request in requests..<requests + texts.count { owners[request] = items }
        requests += texts.count
        items += 1
        waiting = texts[...]
    }

    /// - Returns: the item that this answer completes; nil if answers are still missing.
    mutating func take(
        _ answer: Task.Request.Answer, to request: Int
    ) -> (number: Int, item: Task.Item, answers: [Task.Request.Answer])? {
        guard let number = owners.removeValue(forKey: request), var entry = entries.removeValue(forKey: number) else {
            return nil
        }
        entry.answers[request - entry.first] = answer
        let known = entry.answers.compactMap { $0 }
        guard known.count == entry.answers.count else {
            entries[number] = entry
            return nil
        }
        return (number, entry.item, known)
    }
}
