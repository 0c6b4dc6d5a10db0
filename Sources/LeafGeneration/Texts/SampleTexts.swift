package import CPMAntShape
import LeafExecutor
package import LeafFormat
package import LeafSystem
package import LeafTokenizer

/// Greedy or random continuations of one prompt, each by itself.
package struct SampleTexts: TextChoice {
    /// One continuation.
    private struct Sample {
        var decoder: SequenceDecoder
        var stream: TextStream?
        var text = ""
        var logprobs: [TokenLogprobs] = []

        /// Samples that reach `maxTokens` keep their cache: a session may raise the limit and go on.
        var isLasting: Bool { decoder.finishReason != .stop }
    }

    private let request: GenerationRequest
    private let configuration: ModelConfiguration
    private let vocabulary: Vocabulary?
    private let report: GenerationReport
    /// Empty until the prompt has been answered.
    private var samples: [Sample] = []
    /// Numbers of the samples under way; nil before the first row.
    private var open: [Int]?
    /// The texts that a session gave, until they are reported.
    private var resumed: [SessionText] = []

    /// - Parameters:
    ///   - request: a valid one, without beams.
    ///   - vocabulary: nil for a model that gives ids only.
    package init(
        _ request: GenerationRequest, for configuration: ModelConfiguration, vocabulary: Vocabulary?,
        _ report: GenerationReport
    ) {
        self.request = request
        self.configuration = configuration
        self.vocabulary = vocabulary
        self.report = report
    }

    package var count: Int { open?.count ?? 1 }
    package var isFinished: Bool { open != nil && samples.allSatisfy { $0.decoder.finishReason != nil } }
    package var length: Int { open == nil ? 0 : samples.map(\.decoder.history.generatedCount).max() ?? 0 }

    package func goesOn(_ text: Int) -> Bool { open.map { samples[$0[text]].decoder.finishReason == nil } ?? true }

    package func history(of text: Int) -> TokenHistory {
        open.map { samples[$0[text]].decoder.history } ?? TokenHistory()
    }

    package mutating func accept(
        _ rows: [LogitsRow], of text: Int, drafts: DraftTree, workspace: inout SamplingWorkspace
    ) throws(LeafError) -> [Int] {
        guard let open else {
            guard let row = rows.last else { return [] }
            // All continue the one prompt.
            samples = (0..<request.samples).map(makeSample)
            for number in samples.indices { try choose(row, number, &workspace) }
            return []
        }
        var path: [Int] = []
        try choose(rows[0], open[text], &workspace)
        while goesOn(text), let last = history(of: text).counted.last, let node = drafts.child(last, of: path.last) {
            path.append(node)
            try choose(rows[1 + node], open[text], &workspace)
        }
        return path
    }

    package func draftLimit(of text: Int) -> Int {
        guard open != nil, goesOn(text) else { return 0 }
        return max(0, request.options.maxTokens - history(of: text).generatedCount - 1)
    }

    package mutating func guesses(
        from row: LogitsRow, of text: Int, behind path: [Int32], _ question: DraftQuestion,
        workspace: inout SamplingWorkspace
    ) -> [DraftGuess] {
        let compatibility = request.options.compatibility
        // Where soft prompts count as tokens, another number of them is another vocabulary.
        let isAlike = compatibility != .transformersRaw || row.model.facts.softPromptRows == configuration.promptRows
        guard let open, isAlike, let logits = try? row.joined(compatibility, workspace).span else { return [] }
        return samples[open[text]].decoder.guesses(from: logits, behind: path, question, workspace: &workspace)
    }

    package mutating func advance() -> [Int] {
        guard let open else {
            let lasting = samples.indices.filter { samples[$0].isLasting }
            open = lasting
            return lasting.map { _ in 0 }
        }
        let lasting = open.indices.filter { samples[open[$0]].isLasting }
        if lasting.count < open.count { self.open = lasting.map { open[$0] } }
        return lasting
    }

    package mutating func finish() -> [Generation.Sample] { (0..<request.samples).map { result($0) } }

    private func makeSample(_ number: Int) -> Sample {
        Sample(
            decoder: SequenceDecoder(
                request.options, seed: report.seed, sample: number, prompt: request.prompt.ids),
            stream: vocabulary.map { TextStream(vocabulary: $0, stop: request.options.stop) })
    }

    private mutating func choose(
        _ row: LogitsRow, _ number: Int, _ workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        let logits = try row.joined(request.options.compatibility, workspace)
        guard let token = try samples[number].decoder.accept(logits.span, workspace: &workspace) else { return }
        take(token.id, token.logprobs, number)
        if samples[number].stream?.hasStopped == true { samples[number].decoder.finish(.stop) }
    }

    private mutating func take(_ id: Int32, _ logprobs: TokenLogprobs?, _ number: Int) {
        let text = samples[number].stream?.append(id) ?? ""
        samples[number].text += text
        if let logprobs { samples[number].logprobs.append(logprobs) }
        report.tell(GeneratedPiece(sample: number, id: id, text: text, logprobs: logprobs))
    }

    private mutating func result(_ number: Int) -> Generation.Sample {
        guard number < samples.count else {
            return Generation.Sample(ids: [], text: "", finishReason: .interrupted, logprobs: [], score: nil)
        }
        let rest = samples[number].stream?.finish() ?? ""
        if !rest.isEmpty {
            samples[number].text += rest
            report.tell(GeneratedPiece(sample: number, id: nil, text: rest, logprobs: nil))
        }
        let sample = samples[number]
        return Generation.Sample(
            ids: sample.decoder.ids, text: sample.text, finishReason: sample.decoder.finishReason ?? .interrupted,
            logprobs: sample.logprobs, score: nil)
    }
}

// MARK: Sessions

extension SampleTexts {
    package func write(to writer: SessionWriter) throws(LeafError) -> Bool {
        let texts = open == nil ? [] : samples
        try writer.append(UInt32(texts.count))
        for text in texts {
            try SessionText(ids: text.decoder.ids, hasStopped: !text.isLasting, logprobs: text.logprobs)
                .write(to: writer)
        }
        return !texts.isEmpty
    }

    package mutating func resume(_ reader: SessionReader) throws(LeafError) -> Bool {
        let count = try reader.count(atMost: request.samples)
        guard count > 0 else { return false }
        for _ in 0..<count { resumed.append(try SessionText(reader, request.options, in: configuration)) }
        guard count == request.samples, resumed.allSatisfy({ $0.hasStopped || !$0.ids.isEmpty }) else {
            throw reader.damage
        }
        for (number, text) in resumed.enumerated() {
            var sample = makeSample(number)
            sample.decoder.resume(text.ids, hasStopped: text.hasStopped)
            samples.append(sample)
        }
        open = samples.indices.filter { samples[$0].isLasting }
        return true
    }

    package mutating func tellResumed() -> Int {
        defer { resumed = [] }
        for step in 0..<(resumed.map(\.ids.count).max() ?? 0) {
            for (number, text) in resumed.enumerated() where step < text.ids.count {
                take(text.ids[step], text.logprobs.isEmpty ? nil : text.logprobs[step], number)
            }
        }
        return resumed.reduce(0) { $0 + $1.ids.count }
    }
}
