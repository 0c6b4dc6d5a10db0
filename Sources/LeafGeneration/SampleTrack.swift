package import CPMAntShape
package import LeafExecutor
package import LeafFormat
package import LeafTokenizer

/// Greedy or random continuations of one prompt.
package final class SampleTrack: Track {
    /// One continuation.
    private struct Sample {
        let sequence: SequenceID
        var decoder: SequenceDecoder
        var stream: TextStream?
        var text = ""
        var logprobs: [TokenLogprobs] = []
    }

    package let demand: Demand
    private let request: GenerationRequest
    private let prompt: PromptRows
    private let configuration: ModelConfiguration
    private let vocabulary: Vocabulary?
    private let report: GenerationReport
    private let keeper: SessionKeeper?
    /// Empty before the first sweep; the first of them has the prompt then.
    private var samples: [Sample] = []
    /// Samples that have rows on this sweep.
    private var riding: [Int] = []
    /// Whether the prompt has been answered.
    private var hasTokens = false

    /// - Parameters:
    ///   - request: a valid one.
    ///   - vocabulary: nil for a model that gives ids only.
    ///   - keeper: of the request's session; nil without one.
    package init(
        _ request: GenerationRequest, for configuration: ModelConfiguration, vocabulary: Vocabulary?,
        report: GenerationReport, keeper: SessionKeeper? = nil
    ) {
        self.request = request
        prompt = request.textRows
        self.configuration = configuration
        self.vocabulary = vocabulary
        self.report = report
        self.keeper = keeper
        demand = request.demand(in: configuration)
    }

    package var isCancelled: Bool { report.isCancelled }
    package var isFinished: Bool { !samples.isEmpty && samples.allSatisfy { $0.decoder.finishReason != nil } }

    package func addRows(to batch: inout RowBatch, _ model: Executor) {
        report.countSweep()
        guard !samples.isEmpty else {
            samples = [sample(0, on: model.cache.makeSequence())]
            let last = prompt.ids.count - 1
            batch.rows += prompt.rows(of: samples[0].sequence, in: configuration) { $0 == last }
            return
        }
        riding.removeAll(keepingCapacity: true)
        for place in samples.indices where samples[place].decoder.finishReason == nil {
            let history = samples[place].decoder.history
            guard let last = history.counted.last else { continue }
            if request.options.compatibility == .transformersUncached {
                riding.append(place)
                addWholeText(history, of: samples[place].sequence, to: &batch, model)
                continue
            }
            if let position = prompt.hiddenPosition(after: history, in: configuration) {
                model.cache.hide(position, of: samples[place].sequence)
            }
            riding.append(place)
            batch.rows.append(
                prompt.row(
                    of: samples[place].sequence, generated: last, step: history.generatedCount - 1, in: configuration))
        }
    }

    private func addWholeText(
        _ history: TokenHistory, of sequence: SequenceID, to batch: inout RowBatch, _ model: Executor
    ) {
        model.cache.truncate(sequence, to: 0)
        var text = prompt
        text.ids = history.counted
        let last = text.ids.count - 1
        batch.rows += text.rows(of: sequence, in: configuration) { $0 == last }
    }

    package func accept(
        _ row: LogitsRow, at place: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        if riding.isEmpty {
            // All continue the one prompt: its pages are shared.
            for number in 1..<request.samples {
                samples.append(sample(number, on: row.model.cache.fork(samples[0].sequence)))
            }
            for place in samples.indices { try choose(row, place, &workspace) }
            hasTokens = true
        } else {
            try choose(row, riding[place], &workspace)
        }
        report.noteToken()
    }

    package func endSweep(_ model: Executor) {
        // Those that end by their length do so together, and a session can lengthen them.
        for sample in samples where sample.decoder.finishReason == .stop { model.cache.remove(sample.sequence) }
        if let keeper, keeper.countSweep(), !isFinished { save(keeper, model, isLast: false) }
    }

    package func end(_ error: LeafError?, _ model: Executor) {
        if let keeper, keeper.isStale, error == nil { save(keeper, model, isLast: true) }
        for sample in samples { model.cache.remove(sample.sequence) }
        if let error { return report.fail(error) }
        let results = (0..<request.samples).map(result)
        report.finish(results)
    }

    private func sample(_ number: Int, on sequence: SequenceID) -> Sample {
        Sample(
            sequence: sequence,
            decoder: SequenceDecoder(
                request.options, seed: report.seed, sample: number, prompt: prompt.ids),
            stream: vocabulary.map { TextStream(vocabulary: $0, stop: request.options.stop) })
    }

    private func choose(
        _ row: LogitsRow, _ place: Int, _ workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        let logits = try row.joined(request.options.compatibility, workspace)
        guard let token = try samples[place].decoder.accept(logits.span, workspace: &workspace) else { return }
        take(token.id, token.logprobs, place)
        if samples[place].stream?.hasStopped == true { samples[place].decoder.finish(.stop) }
    }

    private func take(_ id: Int32, _ logprobs: TokenLogprobs?, _ place: Int) {
        let text = samples[place].stream?.append(id) ?? ""
        samples[place].text += text
        if let logprobs { samples[place].logprobs.append(logprobs) }
        report.tell(GeneratedPiece(sample: place, id: id, text: text, logprobs: logprobs))
    }

    private func result(_ place: Int) -> Generation.Sample {
        guard place < samples.count else {
            return Generation.Sample(ids: [], text: "", finishReason: .interrupted, logprobs: [], score: nil)
        }
        let rest = samples[place].stream?.finish() ?? ""
        if !rest.isEmpty {
            samples[place].text += rest
            report.tell(GeneratedPiece(sample: place, id: nil, text: rest, logprobs: nil))
        }
        let sample = samples[place]
        return Generation.Sample(
            ids: sample.decoder.ids, text: sample.text, finishReason: sample.decoder.finishReason ?? .interrupted,
            logprobs: sample.logprobs, score: nil)
    }
}

// MARK: Sessions

extension SampleTrack {
    package func begin(_ model: Executor) throws(LeafError) {
        var texts: [SessionText] = []
        try keeper?.restore { reader throws(LeafError) in texts = try restore(reader, model) }
        // Told only now that all of the file is known to be whole.
        for step in 0..<(texts.map(\.ids.count).max() ?? 0) {
            for (place, text) in texts.enumerated() where step < text.ids.count {
                take(text.ids[step], text.logprobs.isEmpty ? nil : text.logprobs[step], place)
            }
        }
        report.noteResumed(tokens: texts.reduce(0) { $0 + $1.ids.count })
    }

    private func restore(_ reader: SessionReader, _ model: Executor) throws(LeafError) -> [SessionText] {
        let count = try reader.count(atMost: request.samples)
        guard count > 0 else { return [] }
        var texts: [SessionText] = []
        for _ in 0..<count { texts.append(try SessionText(reader, request.options, in: configuration)) }
        guard count == request.samples, texts.allSatisfy({ $0.hasStopped || !$0.ids.isEmpty }) else {
            throw reader.damage
        }
        let lasting = texts.filter { !$0.hasStopped }.map { $0.ids.dropLast() }
        let sequences = try SessionPages.restore(
            lengths: lasting.map { cachedLength(generated: $0.count) }, most: demand.pages, into: model.cache,
            from: reader
        ) { place, sequence in
            isCached ? prompt.rows(of: sequence, followedBy: lasting[place], in: configuration) : []
        }
        for (generated, sequence) in zip(lasting, sequences) where isCached {
            for position in prompt.hiddenPositions(after: generated, in: configuration) {
                model.cache.hide(position, of: sequence)
            }
        }
        var left = sequences[...]
        for (number, text) in texts.enumerated() {
            var sample = sample(number, on: text.hasStopped ? model.cache.makeSequence() : left.removeFirst())
            sample.decoder.resume(text.ids, hasStopped: text.hasStopped)
            samples.append(sample)
        }
        hasTokens = true
        return texts
    }

    private func save(_ keeper: SessionKeeper, _ model: Executor, isLast: Bool) {
        // A sweep that was broken off has left rows behind the tokens that there are.
        let texts = hasTokens ? samples : []
        let lasting = texts.filter { $0.decoder.finishReason != .stop }
        keeper.save(tokens: texts.map(\.decoder.history.generatedCount).max() ?? 0, isLast: isLast) {
            writer throws(LeafError) in
            try writer.append(UInt32(texts.count))
            for text in texts {
                try SessionText(
                    ids: text.decoder.ids, hasStopped: text.decoder.finishReason == .stop, logprobs: text.logprobs
                ).write(to: writer)
            }
            guard !texts.isEmpty else { return }
            try SessionPages.write(
                lasting.map(\.sequence),
                lengths: lasting.map { cachedLength(generated: $0.decoder.history.generatedCount - 1) },
                of: model.cache, to: writer)
        }
    }

    private var isCached: Bool { request.options.compatibility != .transformersUncached }

    /// Positions that are worth keeping once so many generated tokens have been fed back.
    private func cachedLength(generated: Int) -> Int {
        isCached ? prompt.length(in: configuration) + generated : 0
    }
}

extension LogitsRow {
    /// The row that a text is chosen from: with the soft prompts' rows behind the vocabulary where they count.
    func joined(
        _ compatibility: Compatibility, _ workspace: borrowing SamplingWorkspace
    ) throws(LeafError) -> UnsafeBufferPointer<Float> {
        guard compatibility == .transformersRaw else { return logits }
        try workspace.joined.set(to: logits, then: model.facts.softPromptRows) { (row) throws(LeafError) in
            try model.softPromptLogits(ofRow: number, into: row)
        }
        return workspace.joined.numbers
    }
}
