import LeafSystem

/// Chooses the tokens of a text's blanks from rows of logits, for one text or for several beams.
protocol BlankDecoder {
    /// Takes the row that predicts the next token of a beam; call it for the beams in order.
    ///
    /// - Throws: `.badInput` for logits that are not numbers, or if every token is forbidden.
    mutating func accept(
        _ row: LogitsRow, ofBeam beam: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError)

    /// Chooses the next tokens, once the row of every beam was taken.
    ///
    /// - Returns: the beams that continue, best first.
    mutating func advance(_ workspace: inout SamplingWorkspace) throws(LeafError) -> [BlankToken]
}

/// A token that was chosen for a beam.
struct BlankToken {
    /// The earlier beam that this token continues.
    let beam: Int
    let token: TokenLogprobs
}

extension FillRequest {
    /// - Parameters:
    ///   - earlier: the tokens of known blanks, which penalties count.
    ///   - count: the number of tokens to choose.
    ///   - sample: a number that separates the random choices of texts that are tried together.
    func decoder(after earlier: [Int32], count: Int, seed: UInt64, sample: Int) -> any BlankDecoder {
        var options = options
        // Only its length ends a blank, and it may contain any token.
        options.eosID = -1
        options.allowEmpty = true
        options.maxTokens = earlier.count + count
        if case .beams(let width) = options.decoding {
            return BeamBlankDecoder(
                search: BeamSearch(options, width: width, prompt: [], continuing: earlier, stream: nil))
        }
        options.logprobs = options.logprobs ?? 0
        return SampleBlankDecoder(
            decoder: SequenceDecoder(options, seed: seed, sample: sample, continuing: earlier))
    }
}

/// Greedy or random.
private struct SampleBlankDecoder: BlankDecoder {
    var decoder: SequenceDecoder
    private var chosen: TokenLogprobs?

    init(decoder: SequenceDecoder) {
        self.decoder = decoder
    }

    mutating func accept(
        _ row: LogitsRow, ofBeam beam: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        chosen = try decoder.accept(row.logits.span, workspace: &workspace)?.logprobs
    }

    mutating func advance(_ workspace: inout SamplingWorkspace) -> [BlankToken] {
        chosen.map { [BlankToken(beam: 0, token: $0)] } ?? []
    }
}

private struct BeamBlankDecoder: BlankDecoder {
    var search: BeamSearch
    /// The rows so far. They stay in the model's memory until the next sweep.
    private var rows: [LogitsRow] = []

    init(search: BeamSearch) {
        self.search = search
    }

    mutating func accept(
        _ row: LogitsRow, ofBeam beam: Int, workspace: inout SamplingWorkspace
    ) throws(LeafError) {
        if beam == 0 { rows.removeAll(keepingCapacity: true) }
        rows.append(row)
        try search.accept(row.logits.span, ofBeam: beam, workspace: &workspace)
    }

    mutating func advance(_ workspace: inout SamplingWorkspace) throws(LeafError) -> [BlankToken] {
        let parents = try search.advance()
        return parents.enumerated().map { beam, parent in
            let logits = rows[parent].logits
            let id = search.history(ofBeam: beam).counted.last ?? 0
            return BlankToken(beam: parent, token: workspace.logprobs(of: logits.span, chosen: id, top: 0))
        }
    }
}
