package import CPMAntShape
package import LeafExecutor
package import LeafFormat
package import LeafTokenizer

/// The beams of one prompt: they share its pages of the KV cache, and what they have in common after it.
package final class BeamTrack: Track {
    package let demand: Demand
    private let request: GenerationRequest
    private let prompt: PromptRows
    private let configuration: ModelConfiguration
    private let vocabulary: Vocabulary?
    private let report: GenerationReport
    private let keeper: SessionKeeper?
    private var search: BeamSearch
    /// One for each beam; empty before the first sweep.
    private var sequences: [SequenceID] = []

    /// - Parameters:
    ///   - request: a valid one.
    ///   - width: beams.
    ///   - vocabulary: nil for a model that gives ids only.
    ///   - keeper: of the request's session; nil without one.
    package init(
        _ request: GenerationRequest, width: Int, for configuration: ModelConfiguration, vocabulary: Vocabulary?,
        report: GenerationReport, keeper: SessionKeeper? = nil
    ) {
        self.request = request
        prompt = request.textRows
        self.configuration = configuration
        self.vocabulary = vocabulary
        self.report = report
        self.keeper = keeper
        demand = request.demand(in: configuration)
        let stops = request.options.stop
        search = BeamSearch(
            request.options, width: width, prompt: prompt.ids,
            stream: stops.isEmpty ? nil : vocabulary.map { TextStream(vocabulary: $0, stop: stops) })
    }

    package var isCancelled: Bool { report.isCancelled }
    package var isFinished: Bool { search.isFinished }

    package func addRows(to batch: inout RowBatch, _ model: Executor) {
        report.countSweep()
        guard !sequences.isEmpty else {
            sequences = [model.cache.makeSequence()]
            let last = prompt.ids.count - 1
            batch.rows += prompt.rows(of: sequences[0], in: configuration) { $0 == last }
            return
        }
        for (beam, sequence) in sequences.enumerated() {
            let history = search.history(ofBeam: beam)
            guard let last = history.counted.last else { continue }
            if let position = prompt.hiddenPosition(after: history, in: configuration) {
                model.cache.hide(position, of: sequence)
            }
            batch.rows.append(
                prompt.row(of: sequence, generated: last, step: search.length - 1, in: configuration))
        }
    }

    package func accept(
        _ row: LogitsRow, at place: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        let logits = try row.joined(request.options.compatibility, workspace)
        try search.accept(logits.span, ofBeam: place, workspace: &workspace)
        if place == search.beamCount - 1 {
            report.noteToken()
            sequences = row.model.cache.follow(try search.advance(), of: sequences)
        }
    }

    package func endSweep(_ model: Executor) {
        if let keeper, keeper.countSweep(), !isFinished { save(keeper, model, isLast: false) }
    }

    package func end(_ error: LeafError?, _ model: Executor) {
        if let keeper, keeper.isStale, error == nil { save(keeper, model, isLast: true) }
        for sequence in sequences { model.cache.remove(sequence) }
        if let error { return report.fail(error) }
        let hypotheses = search.results(request.samples)
        let results = hypotheses.enumerated().map { result($1, sample: $0) }
        report.finish(results)
    }

    private func result(_ hypothesis: BeamSearch.Hypothesis, sample: Int) -> Generation.Sample {
        var stream = vocabulary.map { TextStream(vocabulary: $0, stop: request.options.stop) }
        var text = ""
        func tell(_ id: Int32?, _ piece: String) {
            text += piece
            report.tell(GeneratedPiece(sample: sample, id: id, text: piece, logprobs: nil))
        }
        for id in hypothesis.ids { tell(id, stream?.append(id) ?? "") }
        let rest = stream?.finish() ?? ""
        if !rest.isEmpty { tell(nil, rest) }
        return Generation.Sample(
            ids: hypothesis.ids, text: text, finishReason: hypothesis.finishReason, logprobs: [],
            score: hypothesis.score)
    }
}

// MARK: Sessions

extension BeamTrack {
    package func begin(_ model: Executor) throws(LeafError) {
        try keeper?.restore { reader throws(LeafError) in
            guard try reader.flag() else { return }
            try search.resume(reader, in: configuration)
            guard !search.isFinished else { return }
            let generated = (0..<search.beamCount).map { search.history(ofBeam: $0).generated.dropLast() }
            sequences = try SessionPages.restore(
                lengths: generated.map { prompt.length(in: configuration) + $0.count }, most: demand.pages,
                into: model.cache, from: reader
            ) { place, sequence in
                prompt.rows(of: sequence, followedBy: generated[place], in: configuration)
            }
            for (generated, sequence) in zip(generated, sequences) {
                for position in prompt.hiddenPositions(after: generated, in: configuration) {
                    model.cache.hide(position, of: sequence)
                }
            }
        }
        report.noteResumed(tokens: search.results(request.samples).reduce(0) { $0 + $1.ids.count })
    }

    private func save(_ keeper: SessionKeeper, _ model: Executor, isLast: Bool) {
        let hasTokens = search.isFinished || search.length > 0
        keeper.save(tokens: search.length, isLast: isLast) { writer throws(LeafError) in
            try writer.append(UInt8(hasTokens ? 1 : 0))
            guard hasTokens else { return }
            try search.write(to: writer)
            guard !search.isFinished else { return }
            // A sweep that was broken off has left rows behind the tokens that there are.
            let length = prompt.length(in: configuration) + search.length - 1
            try SessionPages.write(
                sequences, lengths: sequences.map { _ in length }, of: model.cache, to: writer)
        }
    }
}

extension KVCache {
    /// The sequences of the beams that go on. The first child of a beam goes on in its sequence, further ones in copies
    /// that share its pages.
    ///
    /// - Parameters:
    ///   - parents: for each of them from which of the earlier ones it comes.
    ///   - sequences: of the earlier ones; those that nobody comes from are removed.
    func follow(_ parents: [Int], of sequences: [SequenceID]) -> [SequenceID] {
        var isTaken = Array(repeating: false, count: sequences.count)
        let next = parents.map { parent in
            if isTaken[parent] { return fork(sequences[parent]) }
            isTaken[parent] = true
            return sequences[parent]
        }
        for (beam, sequence) in sequences.enumerated() where !isTaken[beam] { remove(sequence) }
        return next
    }
}
