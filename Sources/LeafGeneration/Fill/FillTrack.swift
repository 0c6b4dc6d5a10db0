package import CPMAntShape
package import LeafExecutor
package import LeafSystem

/// Fills the wanted blanks of one layout, from left to right.
package final class FillTrack: Track {
    /// One candidate for the wanted blanks, as far as it is filled.
    private struct Beam {
        var sequence: SequenceID
        var tokens: [TokenLogprobs] = []
    }

    package let demand: Demand
    package var cancellation: Cancellation { progress.cancellation }
    private let layout: FillLayout
    /// The tokens of the blanks before the wanted ones.
    private let known: [[Int32]]
    private let configuration: ModelConfiguration
    private let progress: FillProgress
    private let deliver: (Result<[[TokenLogprobs]], LeafError>) -> Void
    private var decoder: any BlankDecoder
    /// Best first; empty before the first sweep.
    private var beams: [Beam] = []
    /// The number of tokens whose rows every beam has in the cache.
    private var fed = 0
    /// The number of tokens that every beam has chosen.
    private var decided = 0
    /// The number of the beams' own rows on this sweep that want logits. Rows that predict the first tokens of blanks
    /// come after them.
    private var ownRows = 0

    /// - Parameters:
    ///   - request: a valid request.
    ///   - known: the tokens of the blanks before the wanted ones.
    ///   - deliver: called with the tokens of each wanted blank.
    package init(
        _ request: FillRequest, _ layout: FillLayout, known: [[Int32]], for configuration: ModelConfiguration,
        progress: FillProgress, deliver: @escaping (Result<[[TokenLogprobs]], LeafError>) -> Void
    ) {
        self.layout = layout
        self.known = known
        self.configuration = configuration
        self.progress = progress
        self.deliver = deliver
        demand = layout.demand(in: configuration)
        decoder = request.decoder(
            after: known.flatMap { $0 }, count: layout.positions.count, seed: progress.seed,
            sample: layout.lengths[layout.wanted.lowerBound])
    }

    package var isFinished: Bool { decided == layout.positions.count }

    package func addRows(to batch: inout RowBatch, _ model: Executor) {
        let first = batch.rows.count
        defer { progress.countSweep(rows: batch.rows.count - first) }
        guard let last = beams.last else {
            beams = [Beam(sequence: model.cache.makeSequence())]
            batch.rows += layout.firstRows(of: beams[0].sequence, known: known, in: configuration)
            return
        }
        for beam in beams {
            for token in fed..<decided {
                var row = layout.row(
                    beam.tokens[token].chosen.id, at: layout.positions[token], of: beam.sequence, in: configuration)
                row.wantsLogits = token == decided - 1
                batch.rows.append(row)
            }
        }
        // These rows are the same for all beams.
        for token in layout.predicted(from: decided + 1) {
            batch.rows.append(layout.predictingRow(token, of: last.sequence, in: configuration))
        }
        fed = decided
        ownRows = beams.count
    }

    package func accept(
        _ row: LogitsRow, at index: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        if index < ownRows {
            try decoder.accept(row, ofBeam: index, workspace: &workspace)
            guard index == ownRows - 1 else { return }
        } else {
            for beam in beams.indices { try decoder.accept(row, ofBeam: beam, workspace: &workspace) }
        }
        let next = try decoder.advance(&workspace)
        let sequences = row.model.cache.follow(next.map(\.beam), of: beams.map(\.sequence))
        beams = zip(next, sequences).map { Beam(sequence: $1, tokens: beams[$0.beam].tokens + [$0.token]) }
        decided += 1
    }

    package func endSweep(_ model: Executor) {
        progress.endSweep()
    }

    package func tell(_ sweep: SweepProgress) { progress.tell(sweep) }

    package func end(_ error: LeafError?, _ model: Executor) {
        for beam in beams { model.cache.remove(beam.sequence) }
        if let error {
            deliver(.failure(error))
        } else if isFinished {
            var rest = beams[0].tokens[...]
            deliver(
                .success(
                    layout.wanted.map { blank in
                        defer { rest = rest.dropFirst(layout.lengths[blank]) }
                        return Array(rest.prefix(layout.lengths[blank]))
                    }))
        } else {
            deliver(.failure(LeafError(.cancelled, "stopped")))
        }
    }
}

/// When the texts that are tried for one request were on sweeps. It lives on the engine's thread.
package final class FillProgress {
    package let seed: UInt64
    let cancellation: Cancellation
    private let deliver: (RequestProgress) -> Void
    /// The progress that was reported last: the texts that are tried together report the same.
    private var reported: RequestProgress?
    private let created = ContinuousClock.now
    private var began: ContinuousClock.Instant?
    private var firstToken: ContinuousClock.Instant?
    private var isRiding = false
    package private(set) var sweeps = 0
    package private(set) var rows = 0

    package init(
        _ request: FillRequest, cancellation: Cancellation, deliver: @escaping (RequestProgress) -> Void
    ) {
        seed = request.options.seed ?? GenerationOptions.freshSeed()
        self.cancellation = cancellation
        self.deliver = deliver
    }

    func tell(_ sweep: SweepProgress) {
        let progress = sweep.ofRequest(sweeps: sweeps, hasTokens: firstToken != nil)
        if progress != reported { deliver(progress) }
        reported = progress
    }

    /// Every text calls it before a sweep, because they share sweeps.
    func countSweep(rows more: Int) {
        rows += more
        began = began ?? .now
        if !isRiding { sweeps += 1 }
        isRiding = true
    }

    func endSweep() {
        firstToken = firstToken ?? .now
        isRiding = false
    }

    /// Seconds before the first sweep, until the first tokens, and after them.
    package var seconds: (wait: Double, prefill: Double, decode: Double) {
        let now = ContinuousClock.now
        let (began, firstToken) = (began ?? now, firstToken ?? now)
        return (
            (began - created) / .seconds(1), (firstToken - began) / .seconds(1), (now - firstToken) / .seconds(1)
        )
    }
}
