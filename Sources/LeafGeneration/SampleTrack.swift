package import CPMAnt
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
    /// Empty before the first sweep; the first of them has the prompt then.
    private var samples: [Sample] = []
    /// Samples that have rows on this sweep.
    private var riding: [Int] = []

    /// - Parameters:
    ///   - request: a valid one.
    ///   - vocabulary: nil for a model that gives ids only.
    package init(
        _ request: GenerationRequest, for configuration: ModelConfiguration, vocabulary: Vocabulary?,
        report: GenerationReport
    ) {
        self.request = request
        prompt = request.textRows
        self.configuration = configuration
        self.vocabulary = vocabulary
        self.report = report
        demand = request.demand(in: configuration)
    }

    package var isCancelled: Bool { report.isCancelled }
    package var isFinished: Bool { !samples.isEmpty && samples.allSatisfy { $0.decoder.finishReason != nil } }

    package func addRows(to batch: inout RowBatch, _ model: CPMAntModel) {
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
        _ history: TokenHistory, of sequence: SequenceID, to batch: inout RowBatch, _ model: CPMAntModel
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
            report.noteFirstToken()
        } else {
            try choose(row, riding[place], &workspace)
        }
    }

    package func endSweep(_ model: CPMAntModel) {
        for sample in samples where sample.decoder.finishReason != nil { model.cache.remove(sample.sequence) }
    }

    package func end(_ error: LeafError?, _ model: CPMAntModel) {
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
        let logits = row.joined(request.options.compatibility, workspace)
        guard let token = try samples[place].decoder.accept(logits.span, workspace: &workspace) else { return }
        let text = samples[place].stream?.append(token.id) ?? ""
        samples[place].text += text
        if let logprobs = token.logprobs { samples[place].logprobs.append(logprobs) }
        report.tell(GeneratedPiece(sample: place, id: token.id, text: text, logprobs: token.logprobs))
        if samples[place].stream?.hasStopped == true { samples[place].decoder.finish(.stop) }
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

extension LogitsRow {
    /// The row that a text is chosen from: with the soft prompts' rows behind the vocabulary where they count.
    func joined(
        _ compatibility: Compatibility, _ workspace: borrowing SamplingWorkspace
    ) -> UnsafeBufferPointer<Float> {
        guard compatibility == .transformersRaw else { return logits }
        workspace.joined.set(to: logits, then: model.configuration.promptRows) {
            model.softPromptLogits(ofRow: number, into: $0)
        }
        return workspace.joined.numbers
    }
}
