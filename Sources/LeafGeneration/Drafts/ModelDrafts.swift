package import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// Drafts by a second model that stays in memory: a small one with a cache of its own, or a coarse copy of the model
/// that reads and writes in forks of the model's sequences.
///
/// All texts draft together: a pass of the second model has a row of each.
package final class ModelDrafts: DraftSource {
    private let model: Executor
    private let configuration: ModelConfiguration
    /// The cache of the model that is drafted for; nil if the second model has its own.
    private let shared: KVCache?
    /// The most texts that draft together: a fork takes pages that were planned.
    private let mostTexts: Int
    private var batch = RowBatch()
    private var riders: [Rider] = []

    /// A text that drafts, and the sequence in which its drafts are read.
    private struct Rider {
        let text: any DraftedText
        let prompt: PromptRows
        let sequence: SequenceID
        var isDone = false
    }

    /// What the second model has read of a text.
    private final class Past {
        let cache: KVCache
        let sequence: SequenceID
        /// The generated tokens behind the prompt, in the cache.
        var tokens: [Int32] = []
        var hasPrompt = false

        init(_ cache: KVCache) {
            self.cache = cache
            sequence = cache.makeSequence()
        }

        deinit { cache.remove(sequence) }
    }

    /// - Parameters:
    ///   - model: everything of it stays in memory.
    ///   - configuration: its own.
    ///   - sharesCache: whether its cache is that of the model that is drafted for.
    ///   - mostTexts: for which forks were planned, where it shares the cache.
    package init(_ model: Executor, _ configuration: ModelConfiguration, sharesCache: Bool, mostTexts: Int) {
        self.model = model
        self.configuration = configuration
        self.mostTexts = mostTexts
        shared = sharesCache ? model.cache : nil
        batch.rows.reserveCapacity(model.capacity.rows)
    }

    package func draft(
        _ texts: [any DraftedText], workspace: inout SamplingWorkspace,
        add: (_ text: any DraftedText, _ draft: Draft) -> Bool, isCancelled: () -> Bool
    ) throws(LeafError) {
        batch.rows.removeAll(keepingCapacity: true)
        riders.removeAll(keepingCapacity: true)
        defer { end() }
        for text in texts where riders.count < mostTexts {
            if shared != nil { fork(text) } else { follow(text) }
        }
        while !batch.rows.isEmpty {
            var next: [(rider: Int, draft: Draft)] = []
            var order = riders.indices.filter { !riders[$0].isDone }.makeIterator()
            do throws(LeafError) {
                try model.forward(batch, isCancelled: isCancelled) { row, logits in
                    guard let rider = order.next() else { return }
                    let text = riders[rider].text
                    let draft = text.draft(
                        from: LogitsRow(model: model, number: row, logits: logits), workspace: &workspace)
                    if let draft, add(text, draft) {
                        next.append((rider, draft))
                    } else {
                        riders[rider].isDone = true
                    }
                }
            } catch {
                // What their sequences hold now is not known.
                for rider in riders { rider.text.draftState = nil }
                throw error
            }
            batch.rows.removeAll(keepingCapacity: true)
            for (rider, draft) in next {
                let (text, prompt) = (riders[rider].text, riders[rider].prompt)
                batch.rows.append(
                    prompt.row(
                        of: riders[rider].sequence, generated: draft.id, step: text.history.generatedCount - 1,
                        in: configuration))
                (text.draftState as? Past)?.tokens.append(draft.id)
            }
        }
    }

    private func end() {
        for rider in riders {
            rider.text.forgetDrafts()
            shared?.remove(rider.sequence)
        }
        riders.removeAll(keepingCapacity: true)
    }

    /// Lets a text draft in a fork of its own sequence, which has all but its last token.
    private func fork(_ text: any DraftedText) {
        guard let shared, let last = text.history.generated.last else { return }
        let sequence = shared.fork(text.sequence)
        riders.append(Rider(text: text, prompt: text.prompt, sequence: sequence))
        batch.rows.append(
            text.prompt.row(
                of: sequence, generated: last, step: text.history.generatedCount - 1, in: configuration))
    }

    /// Lets a text draft in its own sequence of the second model's cache, which first reads what it does not have yet.
    /// A text for which there is no room has no drafts.
    private func follow(_ text: any DraftedText) {
        var prompt = text.prompt
        prompt.tuning = TextTuning()
        prompt.zeroIsPadding = false
        guard (try? prompt.validate(for: configuration)) != nil else { return }
        let past = text.draftState as? Past ?? Past(model.cache)
        text.draftState = past
        let generated = text.history.generated
        // The last token is read again: what follows it is wanted.
        let known = zip(past.tokens, generated.dropLast()).prefix { $0 == $1 }.count
        past.tokens.removeSubrange(known...)
        let length = prompt.length(in: configuration)
        model.cache.truncate(past.sequence, to: past.hasPrompt ? length + known : 0)
        var rows: [RowBatch.Row] = []
        if !past.hasPrompt {
            rows = prompt.rows(of: past.sequence, in: configuration, reserving: generated.count) { _ in false }
        }
        for (step, id) in generated.enumerated().dropFirst(known) {
            var row = prompt.row(of: past.sequence, generated: id, step: step, in: configuration)
            row.wantsLogits = step == generated.count - 1
            rows.append(row)
        }
        guard batch.rows.count + rows.count <= model.capacity.rows, riders.count < model.capacity.logitRows,
            hasPages(for: Rider(text: text, prompt: prompt, sequence: past.sequence))
        else { return }
        past.hasPrompt = true
        past.tokens.append(contentsOf: generated.dropFirst(known))
        riders.append(Rider(text: text, prompt: prompt, sequence: past.sequence))
        batch.rows += rows
    }

    /// Whether the cache has pages for a text and its drafts, beside those that the riders may still take.
    private func hasPages(for rider: Rider) -> Bool {
        func pages(_ rider: Rider) -> Int { Demand.pages(holding: length(of: rider)) }
        let more = (riders + [rider]).reduce(0) {
            $0 + pages($1) - Demand.pages(holding: model.cache.length(of: $1.sequence))
        }
        return length(of: rider) <= model.capacity.longest && more <= model.cache.freePageCount
    }

    /// Positions of a text with all the drafts that it may have.
    private func length(of rider: Rider) -> Int {
        rider.prompt.length(in: configuration) + rider.text.history.generatedCount
            + min(Speculation.mostDrafts, rider.text.draftLimit)
    }
}
