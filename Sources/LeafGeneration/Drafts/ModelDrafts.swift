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
    /// How far its logits are from the model's, until something is known.
    private let spread: Double
    private var batch = RowBatch()
    private var riders: [Rider] = []

    /// By the tokens a sweep of the demonstration model, with copies of 3 and 4 bits.
    private static let spreadOfCopies = 0.1

    /// A text that drafts, and the sequence in which its drafts are read.
    private struct Rider {
        let text: any DraftedText
        let prompt: PromptRows
        let sequence: SequenceID
        var growth: DraftGrowth
    }

    /// Who has a row on a pass: a text, or a guess behind it.
    private struct Reader {
        let rider: Int
        let guess: Int?
    }

    /// What the second model has read of a text.
    private final class Past {
        let sequence: SequenceID
        private let cache: KVCache
        /// The generated tokens behind the prompt, in the cache.
        var tokens: [Int32] = []
        /// What it has guessed and read behind them.
        var growth: DraftGrowth?
        var hasPrompt = false

        init(_ cache: KVCache) {
            self.cache = cache
            sequence = cache.makeSequence()
        }

        deinit { cache.remove(sequence) }

        /// Keeps what was read of the text as it is now, guesses among it that came true, and forgets the rest.
        ///
        /// - Parameter length: of the prompt.
        func settle(behind length: Int, _ generated: ArraySlice<Int32>, in model: Executor) {
            // The last token is read again: what follows it is wanted.
            let before = generated.dropLast()
            let known = zip(tokens, before).prefix { $0 == $1 }.count
            let path = known == tokens.count ? growth?.places(along: before.dropFirst(known)) ?? [] : []
            model.settle(sequence, at: hasPrompt ? length + known : 0, path: path)
            growth = nil
            tokens = Array(generated.prefix(known + path.count))
        }

        /// The rows of a settled text that were not read yet; only the last one wants logits.
        func unread(
            of prompt: PromptRows, _ generated: ArraySlice<Int32>, in configuration: ModelConfiguration
        ) -> [RowBatch.Row] {
            var rows: [RowBatch.Row] = []
            if !hasPrompt {
                rows = prompt.rows(of: sequence, in: configuration, reserving: generated.count) { _ in false }
            }
            for (step, id) in generated.enumerated().dropFirst(tokens.count) {
                var row = prompt.row(of: sequence, generated: id, step: step, in: configuration)
                row.wantsLogits = step == generated.count - 1
                rows.append(row)
            }
            return rows
        }
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
        spread = sharesCache ? Self.spreadOfCopies : 1
        batch.rows.reserveCapacity(model.capacity.rows)
    }

    /// The most rows of a text that the second model reads at once.
    package static let mostWide = DraftGrowth.mostWide

    /// Bytes beside the second model and its executor, for the memory plan.
    ///
    /// - Parameter drafts: of all texts together, at most.
    package static func byteCount(texts: Int, drafts: Int) -> Int {
        texts *| DraftTree.byteCount(capacity: Speculation.mostDrafts) +| DraftGrowth.byteCount(drafts: drafts)
    }

    package func draft(
        _ texts: [any DraftedText], _ wish: DraftWish, workspace: inout SamplingWorkspace, isCancelled: () -> Bool
    ) throws(LeafError) {
        batch.rows.removeAll(keepingCapacity: true)
        riders.removeAll(keepingCapacity: true)
        defer { end() }
        for text in texts where riders.count < mostTexts && text.draftLimit > 0 {
            if shared != nil { fork(text, wish) } else { follow(text, wish) }
        }
        var readers = riders.indices.map { Reader(rider: $0, guess: nil) }
        var depth = 0
        while !batch.rows.isEmpty {
            do throws(LeafError) {
                try pass(readers, wish, workspace: &workspace, isCancelled: isCancelled)
            } catch {
                // What their sequences hold now is not known.
                for rider in riders { rider.text.draftState = nil }
                throw error
            }
            depth += 1
            readers = collect(depth)
        }
        for rider in riders { rider.growth.fill(&rider.text.drafts) }
    }

    /// One pass of the second model: each reader has a row that wants logits.
    private func pass(
        _ readers: [Reader], _ wish: DraftWish, workspace: inout SamplingWorkspace, isCancelled: () -> Bool
    ) throws(LeafError) {
        let question = DraftQuestion(count: DraftGrowth.mostWide, spread: spread * wish.calibration.spread)
        var next = readers.makeIterator()
        try model.forward(batch, isCancelled: isCancelled) { row, logits in
            guard let reader = next.next() else { return }
            let rider = riders[reader.rider]
            let found = rider.text.guesses(
                from: LogitsRow(model: model, number: row, logits: logits),
                behind: rider.growth.guesses.path(to: reader.guess), question, workspace: &workspace)
            riders[reader.rider].growth.add(found, behind: reader.guess)
        }
    }

    /// Puts the guesses of one depth that are to be read into the batch.
    private func collect(_ depth: Int) -> [Reader] {
        batch.rows.removeAll(keepingCapacity: true)
        var readers: [Reader] = []
        for index in riders.indices {
            let level = riders[index].growth.level(depth, atMost: model.capacity.logitRows / riders.count)
            let rider = riders[index]
            for guess in level {
                batch.rows.append(
                    rider.prompt.row(
                        of: rider.sequence, draft: guess, in: rider.growth.guesses,
                        behind: rider.text.history.generatedCount, configuration))
                readers.append(Reader(rider: index, guess: guess))
            }
        }
        return readers
    }

    private func end() {
        for rider in riders {
            shared?.remove(rider.sequence)
            (rider.text.draftState as? Past)?.growth = rider.growth
        }
        riders.removeAll(keepingCapacity: true)
    }

    /// Lets a text draft in a fork of its own sequence, which has all but its last token.
    private func fork(_ text: any DraftedText, _ wish: DraftWish) {
        guard let shared, let last = text.history.generated.last else { return }
        let sequence = shared.fork(text.sequence)
        riders.append(rider(text, text.prompt, sequence, wish))
        batch.rows.append(
            text.prompt.row(
                of: sequence, generated: last, step: text.history.generatedCount - 1, in: configuration))
    }

    private func rider(
        _ text: any DraftedText, _ prompt: PromptRows, _ sequence: SequenceID, _ wish: DraftWish
    ) -> Rider {
        let trunk = prompt.length(in: configuration) + text.history.generatedCount
        let limit = min(text.draftLimit, wish.count)
        let pages = Demand.pages(holding: trunk + limit) - trunk / Demand.pageKeys + wish.branchPages
        let isWide = text.takesBranches && wish.branchPages > 0
        return Rider(
            text: text, prompt: prompt, sequence: sequence,
            growth: DraftGrowth(
                behind: trunk, pages: pages, limit: limit, width: isWide ? DraftGrowth.mostWide : 1, wish))
    }

    /// Lets a text draft in its own sequence of the second model's cache, which first reads what it does not have yet.
    /// A text for which there is no room has no drafts.
    private func follow(_ text: any DraftedText, _ wish: DraftWish) {
        guard let prompt = readable(text.prompt) else { return }
        let past = text.draftState as? Past ?? Past(model.cache)
        text.draftState = past
        past.settle(behind: prompt.length(in: configuration), text.history.generated, in: model)
        let rows = past.unread(of: prompt, text.history.generated, in: configuration)
        let rider = rider(text, prompt, past.sequence, wish)
        guard batch.rows.count + rows.count <= model.capacity.rows, riders.count < model.capacity.logitRows,
            hasPages(for: rider, wish)
        else { return }
        past.hasPrompt = true
        past.tokens = Array(text.history.generated)
        riders.append(rider)
        batch.rows += rows
    }

    /// A prompt as the second model reads it, without what was loaded for the first one; nil if it cannot.
    private func readable(_ prompt: PromptRows) -> PromptRows? {
        var prompt = prompt
        prompt.tuning = TextTuning()
        prompt.zeroIsPadding = false
        return (try? prompt.validate(for: configuration)) == nil ? nil : prompt
    }

    /// Whether the cache has pages for a text and its drafts, beside those that the riders may still take.
    private func hasPages(for rider: Rider, _ wish: DraftWish) -> Bool {
        func pages(_ rider: Rider) -> Int { Demand.pages(holding: length(of: rider)) + wish.branchPages }
        let more = (riders + [rider]).reduce(0) {
            $0 + pages($1) - Demand.pages(holding: model.cache.length(of: $1.sequence))
        }
        return length(of: rider) <= model.capacity.longest && more <= model.cache.freePageCount
    }

    /// Positions of a text with the longest path of drafts that it may have.
    private func length(of rider: Rider) -> Int {
        rider.prompt.length(in: configuration) + rider.text.history.generatedCount
            + min(Speculation.mostDrafts, rider.text.draftLimit)
    }
}
