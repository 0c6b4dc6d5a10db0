import CLeafKernels
package import CPMAntShape
package import LeafExecutor
import LeafFormat
package import LeafSystem

/// CPM-Ant: what its rows, blocks and pairs of positions are. Names follow CPM-Live; every formula is that of
/// Documentation/cpm-ant.md, section 2. The `1/sqrt(inputs)` of `Lin` is in the scales of int8 weights, and a factor of
/// float ones (`FanInScale`).
package final class CPMAnt: Architecture {
    package let facts: ModelFacts
    private let configuration: ModelConfiguration
    private let small: SmallTensors
    private let buckets: PositionBuckets
    private let blocks: [BlockPlan]

    /// One block, with the indices of its matrices and its norm's weights, `[D]`.
    private enum BlockPlan: @unchecked Sendable {
        /// `matrices`: queries, keys, values, output.
        case attention(matrices: Range<Int>, norm: UnsafePointer<Float>, heads: SweepThread.Attention)
        /// `matrices`: gate, up, down.
        case feedForward(matrices: Range<Int>, norm: UnsafePointer<Float>)
        case head(matrices: Range<Int>)
        /// A token table that is no head: a sweep only checks it.
        case tokenTable(matrices: Range<Int>)
    }

    /// - Parameters:
    ///   - residents: `file.wantedTensors()`, read.
    ///   - longest: positions of the longest text.
    /// - Throws: `.badInput` when a tensor is missing.
    package init(_ file: CPMAntFile, residents: ResidentTensors, longest: Int) throws(LeafError) {
        configuration = file.configuration
        facts = file.facts
        small = try SmallTensors(file, residents)
        buckets = PositionBuckets(
            numBuckets: configuration.positionBiasNumBuckets, maxDistance: configuration.positionBiasMaxDistance,
            segmentTypes: configuration.segmentTypes, longest: longest)
        var attentions = 0
        var blocks: [BlockPlan] = []
        for (kind, block) in zip(file.shape.kinds, file.leaf.blocks) {
            switch kind {
            case .attention(let layer):
                let heads = SweepThread.Attention(
                    index: attentions, scoreScale: 1 / Float(configuration.dimHead(ofLayer: layer)).squareRoot(),
                    bias: SweepThread.BiasTable(
                        start: small.positionBias, rows: configuration.positionBiasRows,
                        columns: configuration.layers[layer].heads))
                let norm = try small.norm(TensorName.attentionNorm(layer: layer))
                blocks.append(.attention(matrices: block.matrices, norm: norm, heads: heads))
                attentions += 1
            case .feedForward(let layer):
                let norm = try small.norm(TensorName.feedForwardNorm(layer: layer))
                blocks.append(.feedForward(matrices: block.matrices, norm: norm))
            case .tokenTable where configuration.hasOwnHead:
                blocks.append(.tokenTable(matrices: block.matrices))
            case .head, .tokenTable:
                blocks.append(.head(matrices: block.matrices))
            }
        }
        self.blocks = blocks
    }

    package func check(_ row: RowBatch.Row) throws(LeafError) {
        guard row.segment >= 0, Int(row.segment) < configuration.segmentTypes else {
            throw LeafError(
                .usage, "segment \(row.segment) is outside this model's (0 to \(configuration.segmentTypes - 1))")
        }
    }

    // MARK: Embedding (2.2)

    /// `x = Emb(id) / sqrt(D) + Seg(segment) / sqrt(D)`; the second division is in the stored segment rows.
    package func embed(
        _ input: RowBatch.Row.Input, segment: Int32?, into x: UnsafeMutablePointer<Float>, _ executor: Executor
    ) throws(LeafError) {
        let addend = segment.map(small.segment) ?? executor.zeros
        switch input {
        case .token(let id): try executor.embed(token: Int(id), adding: addend, into: x)
        case .softPrompt(let row): small.embed(softPrompt: Int(row), adding: addend, into: x, executor)
        }
    }

    // MARK: Mask (2.3) and position bias (2.4)

    /// `vis(q, k) = same span and (k is context or (q is not context and k <= q))`; the executor hides padding.
    ///
    /// The bias of a visible pair is the table's row for the distance `k - q` within a segment, or for the pair of
    /// segments.
    package func look(
        from query: KVCache.Position, at keys: UnsafePointer<KVCache.Position>, biasRows: UnsafeMutablePointer<UInt16>
    ) {
        for key in 0..<16 {
            let k = keys[key]
            let isVisible = query.span == k.span && (k.isContext || (!query.isContext && k.index <= query.index))
            biasRows[key] = isVisible ? buckets.bucket(from: query, to: k) : UInt16(LEAF_MASKED)
        }
    }

    // MARK: Blocks (2.5)

    package func run(block: Int, _ thread: SweepThread) throws(LeafError) {
        switch blocks[block] {
        case .attention(let matrices, let norm, let heads): try attention(matrices, norm, heads, thread)
        case .feedForward(let matrices, let norm): try feedForward(matrices, norm, thread)
        case .head(let matrices): try head(matrices, thread)
        case .tokenTable(let matrices): try thread.linear(rows: 0, matrices, into: { _ in thread.buffers.logits })
        }
    }

    /// `x = x + Lin(attend(Lin(n; q), Lin(n; k), Lin(n; v)); out)` with `n = RMS(x)`
    private func attention(
        _ matrices: Range<Int>, _ norm: UnsafePointer<Float>, _ heads: SweepThread.Attention, _ t: SweepThread
    ) throws(LeafError) {
        let inputs = matrices.prefix(3)
        let output = matrices.suffix(1)
        let b = t.buffers
        try prepareNormalized(norm, for: inputs, t)
        try t.linear(
            rows: t.rowCount, inputs,
            into: { part in
                let target = part.ordinal == 0 ? b.queries : part.ordinal == 1 ? b.keys : b.values
                return target.columns(from: part.outputs.lowerBound)
            })
        t.attend(heads)
        try t.meet()
        try t.prepare(rows: t.rowCount, for: output) { row, input in
            input.update(from: b.attended[row], count: t.columns(of: output))
        }
        try addToResidual(output, t)
    }

    /// `x = x + Lin(gelu(Lin(n; w_0)) * Lin(n; w_1); w_out)` with `n = RMS(x)`
    private func feedForward(
        _ matrices: Range<Int>, _ norm: UnsafePointer<Float>, _ t: SweepThread
    ) throws(LeafError) {
        let (gate, up, down) = (matrices.prefix(1), matrices.dropFirst().prefix(1), matrices.suffix(1))
        let b = t.buffers
        try prepareNormalized(norm, for: gate, t)
        try t.linear(rows: t.rowCount, gate, into: { part in b.gate.columns(from: part.outputs.lowerBound) })
        // A thread keeps its part of `up` only until it has met the gate.
        let own = b.up(t)
        try t.linear(
            rows: t.rowCount, up, into: { _ in own },
            finish: { part in
                let gated = b.gate.columns(from: part.outputs.lowerBound)
                for row in 0..<t.rowCount { t.geluMultiply(gated[row], own[row], count: part.outputs.count) }
            })
        try t.prepare(rows: t.rowCount, for: down) { row, input in
            input.update(from: b.gate[row], count: t.columns(of: down))
        }
        try addToResidual(down, t)
    }

    /// `logits = RMS(x) . Emb / sqrt(D)`: the output projection is the token table, or a matrix of its own. Rows that
    /// want no logits get the norm alone.
    private func head(_ matrices: Range<Int>, _ t: SweepThread) throws(LeafError) {
        let rows = t.outputRows
        let x = t.buffers.hiddenStates
        try t.prepare(rows: rows.count, for: matrices) { row, input in
            t.rmsNorm(x[rows[row]], small.outputNorm, eps: configuration.eps, into: input)
        }
        let logits = t.buffers.logits
        try t.linear(
            rows: t.logitRowCount, matrices, into: { part in logits.columns(from: part.outputs.lowerBound) })
    }

    /// `n = RMS(x)`, where the linear layers read it.
    private func prepareNormalized(
        _ norm: UnsafePointer<Float>, for matrices: Range<Int>, _ t: SweepThread
    ) throws(LeafError) {
        let x = t.buffers.hiddenStates
        try t.prepare(rows: t.rowCount, for: matrices) { row, input in
            t.rmsNorm(x[row], norm, eps: configuration.eps, into: input)
        }
    }

    /// `x = x + Lin(input)`
    private func addToResidual(_ matrix: Range<Int>, _ t: SweepThread) throws(LeafError) {
        let delta = t.buffers.delta
        try t.linear(rows: t.rowCount, matrix, into: { part in delta.columns(from: part.outputs.lowerBound) })
        t.addDelta()
    }
}

extension PositionBuckets {
    fileprivate func bucket(from query: KVCache.Position, to key: KVCache.Position) -> UInt16 {
        bucket(queryIndex: query.index, querySegment: query.segment, keyIndex: key.index, keySegment: key.segment)
    }
}
