package import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// The texts that go on from one prompt: the sequences of the cache in which their past lies, the rows that they want
/// on each sweep, and their session.
///
/// A text may have any number of rows on a sweep; its `TextChoice` gets them together, when the last one is there, and
/// decides what becomes of it.
package final class TextTrack<Choice: TextChoice>: Track {
    package let demand: Demand
    package var cancellation: Cancellation { report.cancellation }
    private let request: GenerationRequest
    private let prompt: PromptRows
    private let configuration: ModelConfiguration
    private let report: GenerationReport
    /// Saves and restores the request's session; nil without one.
    private let keeper: SessionKeeper?
    private var choice: Choice
    /// The sequence of each text under way; empty before the first sweep.
    private var sequences: [SequenceID] = []
    /// The drafts of each text under way, as long as `sequences`.
    private var texts: [Text] = []
    /// Texts with rows on this sweep, and how many of them want logits.
    private var riding: [(text: Int, rows: Int)] = []
    /// The one of `riding` whose rows come now, and those that have come.
    private var turn = 0
    /// Whether this sweep is the prompt's.
    private var isPrompt = false
    private var rows: [LogitsRow] = []

    /// - Parameters:
    ///   - request: a valid one.
    ///   - choice: made for the same request and report.
    package init(
        _ request: GenerationRequest, for configuration: ModelConfiguration, _ report: GenerationReport,
        choice: () -> Choice
    ) {
        self.request = request
        prompt = request.textRows
        self.configuration = configuration
        self.report = report
        keeper = SessionKeeper(request, seed: report.seed)
        self.choice = choice()
        demand = request.demand(in: configuration)
    }

    package var isFinished: Bool { choice.isFinished }

    package func addRows(to batch: inout RowBatch, _ model: Executor) {
        report.countSweep()
        turn = 0
        rows.removeAll(keepingCapacity: true)
        riding.removeAll(keepingCapacity: true)
        isPrompt = sequences.isEmpty
        guard !sequences.isEmpty else {
            sequences = [model.cache.makeSequence()]
            texts = [Text(self, 0)]
            let last = prompt.ids.count - 1
            batch.rows += prompt.rows(of: sequences[0], in: configuration) { $0 == last }
            riding = [(text: 0, rows: 1)]
            return
        }
        for text in sequences.indices where choice.goesOn(text) {
            let first = batch.rows.count
            addRows(of: text, to: &batch, model)
            riding.append((text, batch.rows[first...].count { $0.wantsLogits }))
        }
    }

    /// The rows after which a text goes on: its last token, or all of it where nothing is cached.
    private func addRows(of text: Int, to batch: inout RowBatch, _ model: Executor) {
        let (history, sequence) = (choice.history(of: text), sequences[text])
        guard isCached else {
            model.cache.truncate(sequence, to: 0)
            var whole = prompt
            whole.ids = history.counted
            let last = whole.ids.count - 1
            batch.rows += whole.rows(of: sequence, in: configuration) { $0 == last }
            return
        }
        guard let last = history.counted.last else { return }
        if let hiding = prompt.hiding(after: history, in: configuration) {
            model.cache.hide(hiding.position, of: sequence, with: hiding.row)
        }
        batch.rows.append(
            prompt.row(of: sequence, generated: last, step: history.generatedCount - 1, in: configuration))
        let drafts = texts[text].waitingDrafts
        for number in drafts.nodes.indices {
            // What is hidden by one row is hidden from all behind it, so these drafts are a chain.
            if !texts[text].takesBranches,
                let hiding = prompt.hiding(after: history, drafts.path(to: number)[...], in: configuration)
            {
                model.cache.hide(hiding.position, of: sequence, with: hiding.row)
            }
            batch.rows.append(
                prompt.row(of: sequence, draft: number, in: drafts, behind: history.generatedCount, configuration))
        }
    }

    package func accept(
        _ row: LogitsRow, at index: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        rows.append(row)
        guard rows.count == riding[turn].rows else { return }
        let text = riding[turn].text
        let drafts = texts[text].waitingDrafts
        let trunk = texts[text].trunk
        let accepted = try choice.accept(rows, of: text, drafts: drafts, workspace: &workspace)
        if !choice.goesOn(text) { texts[text].end = choice.history(of: text) }
        report.noteToken()
        if !isPrompt { report.countStep(tokens: 1 + accepted.count) }
        if !drafts.isEmpty {
            texts[text].acceptedDrafts = accepted
            report.countDrafts(drafted: drafts.count, accepted: accepted.count)
            row.model.settle(sequences[text], at: trunk, path: accepted.lazy.map { drafts[$0].place })
        }
        rows.removeAll(keepingCapacity: true)
        turn += 1
        guard turn == riding.count else { return }
        let parents = try choice.advance()
        // On nearly every sweep all texts go on as they are.
        guard !parents.elementsEqual(sequences.indices) else { return }
        sequences = row.model.cache.follow(parents, of: sequences)
        texts = parents.enumerated().map { number, parent in
            // The first child of a text goes on with what was kept of it.
            guard parents.firstIndex(of: parent) == number else { return Text(self, number) }
            texts[parent].number = number
            return texts[parent]
        }
    }

    package func endSweep(_ model: Executor) {
        if let keeper, keeper.isDue(tokens: choice.length), !isFinished { save(keeper, model, isLast: false) }
    }

    package func tell(_ progress: SweepProgress) { report.tell(progress) }

    package func end(_ error: LeafError?, _ model: Executor) {
        if let keeper, keeper.isStale, error == nil { save(keeper, model, isLast: true) }
        keeper?.letGo()
        for sequence in sequences { model.cache.remove(sequence) }
        texts = []
        if let error { return report.fail(error) }
        report.finish(choice.finish())
    }
}

// MARK: Drafts

extension TextTrack {
    package var drafted: [any DraftedText] {
        isCached ? texts.filter { $0.draftLimit > 0 } : []
    }

    /// One of the texts, for whoever drafts.
    private final class Text: DraftedText {
        unowned let track: TextTrack
        /// Among the texts under way.
        var number: Int
        var drafts = DraftTree(capacity: Speculation.mostDrafts)
        var acceptedDrafts: [Int]?
        var draftState: AnyObject?
        /// What it has become; nil while it goes on.
        var end: TokenHistory?

        init(_ track: TextTrack, _ number: Int) {
            self.track = track
            self.number = number
        }

        /// Those that ride on this sweep.
        var waitingDrafts: DraftTree { acceptedDrafts == nil ? drafts : DraftTree(capacity: 0) }
        var prompt: PromptRows { track.prompt }
        var sequence: SequenceID { track.sequences[number] }
        var trunk: Int { track.cachedLength(generated: history.generatedCount) }
        var history: TokenHistory { end ?? track.choice.history(of: number) }
        var draftLimit: Int { track.choice.draftLimit(of: number) }
        var takesBranches: Bool { !track.prompt.zeroIsPadding }

        func guesses(
            from row: LogitsRow, behind path: [Int32], _ question: DraftQuestion, workspace: inout SamplingWorkspace
        ) -> [DraftGuess] {
            track.choice.guesses(from: row, of: number, behind: path, question, workspace: &workspace)
        }
    }
}

// MARK: Sessions

extension TextTrack {
    package func begin(_ model: Executor) throws(LeafError) {
        try keeper?.restore { reader throws(LeafError) in
            guard try choice.resume(reader) else { return }
            let generated = (0..<choice.count).map { choice.history(of: $0).generated.dropLast() }
            sequences = try SessionPages.restore(
                lengths: generated.map { cachedLength(generated: $0.count) }, most: demand.pages, into: model.cache,
                from: reader
            ) { text, sequence in
                isCached ? prompt.rows(of: sequence, followedBy: generated[text], in: configuration) : []
            }
            texts = sequences.indices.map { Text(self, $0) }
            for (generated, sequence) in zip(generated, sequences) where isCached {
                for hiding in prompt.hidings(after: generated, in: configuration) {
                    model.cache.hide(hiding.position, of: sequence, with: hiding.row)
                }
            }
        }
        // Reported only now, when the whole file is known to be undamaged.
        report.noteResumed(tokens: choice.tellResumed())
    }

    private func save(_ keeper: SessionKeeper, _ model: Executor, isLast: Bool) {
        keeper.save(tokens: choice.length, isLast: isLast) { writer throws(LeafError) in
            guard try choice.write(to: writer) else { return }
            // A cancelled sweep may have left rows after the last token.
            try SessionPages.write(
                sequences,
                lengths: sequences.indices.map {
                    cachedLength(generated: choice.history(of: $0).generatedCount - 1)
                }, of: model.cache, to: writer)
        }
    }

    private var isCached: Bool { request.options.compatibility != .transformersUncached }

    /// The number of positions worth keeping when this many generated tokens have been fed back.
    private func cachedLength(generated: Int) -> Int {
        isCached ? prompt.length(in: configuration) + generated : 0
    }
}
