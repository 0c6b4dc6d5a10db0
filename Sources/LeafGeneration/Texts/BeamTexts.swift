package import CPMAntShape
package import LeafFormat
package import LeafSystem
package import LeafTokenizer

/// The beams of one prompt. They share the prompt's pages of the KV cache, and whatever they have in common after it.
package struct BeamTexts: TextChoice {
    private let request: GenerationRequest
    private let configuration: ModelConfiguration
    private let vocabulary: Vocabulary?
    private let report: GenerationReport
    private var search: BeamSearch

    /// - Parameters:
    ///   - request: a valid one.
    ///   - width: the number of beams.
    ///   - vocabulary: nil for a model that gives ids only.
    package init(
        _ request: GenerationRequest, width: Int, for configuration: ModelConfiguration, vocabulary: Vocabulary?,
        _ report: GenerationReport
    ) {
        self.request = request
        self.configuration = configuration
        self.vocabulary = vocabulary
        self.report = report
        let stops = request.options.stop
        search = BeamSearch(
            request.options, width: width, prompt: request.prompt.ids,
            stream: stops.isEmpty ? nil : vocabulary.map { TextStream(vocabulary: $0, stop: stops) })
    }

    package var count: Int { search.beamCount }
    package var isFinished: Bool { search.isFinished }
    package var length: Int { search.length }
    package func goesOn(_ text: Int) -> Bool { true }
    package func history(of text: Int) -> TokenHistory { search.history(ofBeam: text) }

    package mutating func accept(
        _ rows: [LogitsRow], of text: Int, drafts: DraftTree, workspace: inout SamplingWorkspace
    ) throws(LeafError) -> [Int] {
        // Beams compete after each token, so there is one row and no draft.
        for row in rows {
            let logits = try row.joined(request.options.compatibility, workspace)
            try search.accept(logits.span, ofBeam: text, workspace: &workspace)
        }
        return []
    }

    package mutating func advance() throws(LeafError) -> [Int] { try search.advance() }

    package func finish() -> [Generation.Sample] {
        search.results(request.samples).enumerated().map { result($1, sample: $0) }
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

extension BeamTexts {
    package func write(to writer: SessionWriter) throws(LeafError) -> Bool {
        let hasTokens = isFinished || length > 0
        try writer.append(UInt8(hasTokens ? 1 : 0))
        if hasTokens { try search.write(to: writer) }
        return hasTokens && !isFinished
    }

    package mutating func resume(_ reader: SessionReader) throws(LeafError) -> Bool {
        guard try reader.flag() else { return false }
        try search.resume(reader, in: configuration)
        return !isFinished
    }

    /// Reports nothing yet: beams are reported when they have ended.
    package func tellResumed() -> Int { search.results(request.samples).reduce(0) { $0 + $1.ids.count } }
}
