import CPMAntShape
import Glibc
import LeafFormat
package import LeafSystem

/// Beam search by the rules of CPM-Live or of transformers: decides which texts continue and which have ended.
///
/// It does not know the model: it takes one row of logits for each beam, and `advance` returns the beams that continue.
/// Scores have double precision. Of equal ones the earlier beam and the smaller id come first.
///
/// - Source: CPM-Ant reference, sections 5.2 and 5.6; transformers 4.45's `BeamSearchScorer`.
package struct BeamSearch {
    /// A text that has ended.
    package struct Hypothesis {
        package let ids: [Int32]
        package let score: Double
        package let finishReason: FinishReason
    }

    /// A text that continues.
    private struct Beam {
        var history: TokenHistory
        var logProbability: Double
        /// Finds stop strings, if there are any.
        var stream: TextStream?
    }

    private struct Candidate {
        let beam: Int
        let id: Int32
        let logProbability: Double
    }

    private let options: GenerationOptions
    private let processors: [any LogitsProcessor]
    private let width: Int
    private var beams: [Beam]
    /// The best candidates of all beams so far, best first.
    private var candidates: [Candidate] = []
    private var hypotheses: [Hypothesis] = []
    package private(set) var isFinished = false

    /// - Parameters:
    ///   - options: valid options, with beams.
    ///   - prompt: the prompt's ids, which some rules count.
    ///   - earlier: tokens generated before, which count as part of every text.
    ///   - stream: finds stop strings; nil if there are none.
    package init(
        _ options: GenerationOptions, width: Int, prompt: [Int32], continuing earlier: [Int32] = [],
        stream: TextStream?
    ) {
        self.options = options
        self.width = width
        processors = options.processors
        var history = TokenHistory(
            prompt: options.compatibility.countsPrompt ? prompt : [], generated: earlier)
        history.reserve(min(max(0, options.maxTokens), 4095) + 1)
        beams = [Beam(history: history, logProbability: 0, stream: stream)]
        candidates.reserveCapacity(2 * width + 1)
    }

    /// The number of texts that continue; one at the beginning.
    package var beamCount: Int { beams.count }
    /// The number of tokens of each of them.
    package var length: Int { beams[0].history.generatedCount }
    package func history(ofBeam beam: Int) -> TokenHistory { beams[beam].history }

    /// Takes the row of logits that follows a beam; call it for the beams in order.
    ///
    /// - Throws: `.badInput` for logits that are not numbers.
    package mutating func accept(
        _ logits: Span<Float>, ofBeam beam: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        try workspace.load(logits)
        var logOfSum = 0.0
        if options.compatibility == .cpmLive {
            for rule in processors { rule.process(&workspace, after: beams[beam].history) }
            logOfSum = workspace.logOfSum()
        } else {
            // transformers' rules use log-probabilities.
            let shift = Float(workspace.logOfSum())
            for id in 0..<workspace.vocabSize { workspace.logits[id] -= shift }
            for rule in processors { rule.process(&workspace, after: beams[beam].history) }
        }
        let base = beams[beam].logProbability - logOfSum
        for id in 0..<workspace.vocabSize where workspace.logits[id] > -.infinity {
            offer(Candidate(beam: beam, id: Int32(id), logProbability: base + Double(workspace.logits[id])))
        }
    }

    /// Keeps a candidate if it is among the best `2 * width`.
    private mutating func offer(_ candidate: Candidate) {
        if candidates.count == 2 * width {
            guard candidate.logProbability > candidates[candidates.count - 1].logProbability else { return }
            candidates.removeLast()
        }
        var index = candidates.count
        while index > 0, candidates[index - 1].logProbability < candidate.logProbability { index -= 1 }
        candidates.insert(candidate, at: index)
    }

    /// Chooses the next beams, once the row of every beam was taken.
    ///
    /// - Returns: for each beam that continues, the number of the earlier beam that it continues.
    /// - Throws: `.badInput` if every token is forbidden.
    package mutating func advance() throws(LeafError) -> [Int] {
        guard let best = candidates.first else {
            throw LeafError(.badInput, "no token is left to choose from; allow empty texts or turn the bans off")
        }
        let length = length
        let isLive = options.compatibility == .cpmLive
        if isLive, cannotImprove(on: best.logProbability, length: length) { return finish() }

        // CPM-Live chooses one token more than `maxTokens`, and then ends the text of every candidate without that
        // candidate's token.
        let isLast = isLive && length == options.maxTokens + 1
        var (next, parents): ([Beam], [Int]) = ([], [])
        for (rank, candidate) in candidates.enumerated() where isLast || next.count < width {
            if isLast || candidate.id == options.eosID {
                // transformers accepts an end token only from the first `width` candidates, and counts it in the
                // length.
                guard isLive || rank < width else { continue }
                add(
                    beams[candidate.beam].history.generated, candidate.logProbability,
                    length: isLive ? length : length + 1, candidate.id == options.eosID ? .stop : .length)
                continue
            }
            var beam = beams[candidate.beam]
            beam.history.append(candidate.id)
            beam.logProbability = candidate.logProbability
            _ = beam.stream?.append(candidate.id)
            if beam.stream?.hasStopped == true {
                add(beam.history.generated, beam.logProbability, length: length + 1, .stop)
            } else {
                next.append(beam)
                parents.append(candidate.beam)
            }
        }
        if !isLive, cannotImprove(on: best.logProbability, length: length + 1) { return finish() }
        if next.isEmpty { return finish() }
        beams = next
        candidates.removeAll(keepingCapacity: true)
        if !isLive, length + 1 == options.maxTokens {
            for beam in beams { add(beam.history.generated, beam.logProbability, length: length + 1, .length) }
            return finish()
        }
        return parents
    }

    /// The best texts, in descending order of their scores.
    ///
    /// - Parameter count: the most texts to return; unfinished beams fill up missing ones.
    package func results(_ count: Int) -> [Hypothesis] {
        var results = hypotheses.enumerated().sorted { ($1.element.score, $0.offset) < ($0.element.score, $1.offset) }
            .map(\.element)
        if !isFinished {
            for beam in beams where results.count < count {
                let score = normalized(beam.logProbability, length: beam.history.generatedCount)
                results.append(
                    Hypothesis(ids: Array(beam.history.generated), score: score, finishReason: .interrupted))
            }
        }
        return Array(results.prefix(count))
    }

    private mutating func finish() -> [Int] {
        isFinished = true
        return []
    }

    private func cannotImprove(on logProbability: Double, length: Int) -> Bool {
        guard hypotheses.count >= width, let worst = hypotheses.map(\.score).min() else { return false }
        return options.earlyStopping || worst >= normalized(logProbability, length: length)
    }

    private mutating func add(
        _ ids: ArraySlice<Int32>, _ logProbability: Double, length: Int, _ reason: FinishReason
    ) {
        let score = normalized(logProbability, length: length)
        let worst = hypotheses.indices.min { hypotheses[$0].score < hypotheses[$1].score }
        if hypotheses.count >= width, let worst {
            guard score > hypotheses[worst].score else { return }
            hypotheses.remove(at: worst)
        }
        hypotheses.append(Hypothesis(ids: Array(ids), score: score, finishReason: reason))
    }

    private func normalized(_ logProbability: Double, length: Int) -> Double {
        let length = Double(max(1, length))
        return logProbability / (options.lengthPenalty == 1 ? length : pow(length, Double(options.lengthPenalty)))
    }
}

// MARK: Sessions

extension BeamSearch {
    func write(to writer: SessionWriter) throws(LeafError) {
        try writer.append(UInt8(isFinished ? 1 : 0))
        try writer.append(UInt32(hypotheses.count))
        for hypothesis in hypotheses {
            try writer.append(hypothesis.ids)
            try writer.append(hypothesis.score)
            try writer.append(UInt8(hypothesis.finishReason == .length ? 1 : 0))
        }
        guard !isFinished else { return }
        try writer.append(UInt32(beams.count))
        for beam in beams {
            try writer.append(beam.history.generated)
            try writer.append(beam.logProbability)
        }
    }

    /// Replaces this search, which must be new, by a saved one.
    mutating func resume(_ reader: SessionReader, in configuration: ModelConfiguration) throws(LeafError) {
        let longest = options.maxTokens + 2
        let tokenCount = options.compatibility.tokenCount(in: configuration)
        func number() throws(LeafError) -> Double {
            let number = try reader.double()
            guard number.isFinite else { throw reader.damage }
            return number
        }
        isFinished = try reader.flag()
        for _ in 0..<(try reader.count(atMost: width)) {
            hypotheses.append(
                Hypothesis(
                    ids: try reader.tokens(atMost: longest, below: tokenCount), score: try number(),
                    finishReason: try reader.flag() ? .length : .stop))
        }
        guard !isFinished else { return }
        let start = beams[0]
        beams = []
        for _ in 0..<(try reader.count(atMost: width)) {
            var beam = start
            for id in try reader.tokens(atMost: longest, below: tokenCount) {
                beam.history.append(id)
                _ = beam.stream?.append(id)
            }
            beam.logProbability = try number()
            beams.append(beam)
        }
        guard let length = beams.first?.history.generatedCount, length > 0,
            beams.allSatisfy({ $0.history.generatedCount == length })
        else {
            beams = [start]
            throw reader.damage
        }
    }
}
