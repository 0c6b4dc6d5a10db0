import CLeafKernels
import LeafFormat
import LeafStream

/// The layers, as in the reference (section 2.5).
extension CPMAntModel {
    /// `x = Emb(ids) + SegEmb(segment)`, scales folded in.
    func embed(_ batch: RowBatch) throws(LeafError) {
        for (place, row) in batch.rows.enumerated() {
            let hidden = scratch.hiddenStates + place * scratch.dModelStride
            let segment = resident.segmentEmbedding + Int(row.segment) * scratch.dModelStride
            switch row.input {
            case .token(let id): try embedToken(Int(id), adding: segment, into: hidden)
            case .softPrompt(let prompt): embedSoftPrompt(Int(prompt), adding: segment, into: hidden)
            }
        }
    }

    /// Reads one row of the token table from where the sweep's last block lies.
    private func embedToken(
        _ id: Int, adding segment: UnsafePointer<Float>, into hidden: UnsafeMutablePointer<Float>
    ) throws(LeafError) {
        guard let table = file.blocks.last,
            let chunk = file.chunks[table.chunks].first(where: {
                $0.firstRow <= id && id < $0.firstRow + $0.rowCount
            })
        else { throw LeafError(.badInput, "\(file.path) has no row for token \(id); convert the checkpoint again") }
        let matrix = file.matrices[chunk.matrix]
        let dModel = configuration.dimModel
        let local = id - chunk.firstRow
        if file.weights == .int8 {
            let tileBytes = 16 * matrix.paddedColumns
            try store.read(
                at: chunk.offset + local / 16 * tileBytes,
                into: UnsafeMutableRawBufferPointer(start: scratch.tableRow, count: tileBytes))
            kernels.product.embed_row(
                scratch.tableRow, local % 16, resident.rowScales[chunk.matrix][id],
                segment, dModel, hidden)
        } else {
            let rowBytes = dModel * file.weights.elementBytes
            try store.read(
                at: chunk.offset + local * rowBytes,
                into: UnsafeMutableRawBufferPointer(start: scratch.tableRow, count: rowBytes))
            embedFloats(scratch.tableRow, adding: segment, into: hidden)
        }
    }

    func embedSoftPrompt(
        _ row: Int, adding segment: UnsafePointer<Float>, into hidden: UnsafeMutablePointer<Float>
    ) {
        let dModel = configuration.dimModel
        guard row < configuration.promptRows else {
            let own = tuning.softPrompt(row - configuration.promptRows)
            for column in 0..<dModel { hidden[column] = own[column] + segment[column] }
            return
        }
        let source = resident.promptEmbedding + row * dModel * file.weights.elementBytes
        if file.weights == .int8 {
            let scale = resident.promptScales[row]
            let values = source.assumingMemoryBound(to: Int8.self)
            for column in 0..<dModel { hidden[column] = (Float(values[column]) * scale) + segment[column] }
        } else {
            embedFloats(source, adding: segment, into: hidden)
        }
    }

    private func embedFloats(
        _ source: UnsafeRawPointer, adding segment: UnsafePointer<Float>, into hidden: UnsafeMutablePointer<Float>
    ) {
        let dModel = configuration.dimModel
        let scale = configuration.isScaleFolded ? 1 : 1 / Float(dModel).squareRoot()
        if file.weights == .float16 {
            kernels.floats.f16_to_f32(source.assumingMemoryBound(to: UInt16.self), hidden, dModel)
        } else {
            UnsafeMutableRawPointer(hidden).copyMemory(from: source, byteCount: dModel * 4)
        }
        for column in 0..<dModel { hidden[column] = hidden[column] * scale + segment[column] }
    }

    /// `x = x + Lin(attention(RMS(x)))`
    func attention(_ block: Block, layer: Int, _ worker: Int) throws(LeafError) {
        guard let norm = resident.attentionNorms[layer] else { return }
        let width = configuration.dimAttention(ofLayer: layer)
        let stride = scratch.attentionStride
        let first = block.matrices.lowerBound

        try prepareNormalized(norm, worker)
        try linear(
            first..<first + 3, rows: step.rowCount, worker,
            output: { part, column in (scratch.projection(part.matrix - first) + column, stride) })
        attend(layer: layer, worker)
        try pool.meet(worker)
        try prepareLinearInput(rows: step.rowCount, columns: width, worker) { row, input in
            input.update(from: scratch.keys + row * stride, count: width)
        }
        try addToResidual(first + 3, worker)
    }

    /// Keys and values enter the cache; then every query attends. The result replaces the keys in the scratch. No
    /// meeting in between: a thread attends with the heads that it stored itself.
    private func attend(layer: Int, _ worker: Int) {
        let stride = scratch.attentionStride
        let attention = configuration.layers[..<layer].count { $0.hasAttention }
        let dimHead = configuration.dimHead(ofLayer: layer)
        let heads = configuration.layers[layer].heads
        let type = cache.precision.kernelType
        for group in step.groups {
            let begin = TraceRecorder.now(trace)
            defer { trace?.record(.attention, on: .compute(worker), since: begin, attention) }
            cache.withPages(of: group.sequence) { pages in
                for head in pool.share(of: configuration.numHeads(ofLayer: layer), for: worker) {
                    let offset = cache.offset(attention: attention, head: head)
                    for row in group.rows {
                        let position = step.positions[row]
                        let page = cache.page(pages[position / 16], offset: offset)
                        let place = row * stride + head * dimHead
                        kernels.floats.cache_store(
                            type, dimHead, scratch.keys + place, scratch.values + place, page, position % 16)
                    }
                    var view = leaf_cache_view(
                        type: type, dim_head: dimHead, keys: group.keyCount, pages: pages.baseAddress,
                        base: UnsafeRawPointer(cache.page(0, offset: offset)),
                        page_stride: cache.pageStride)
                    for local in Swift.stride(from: 0, to: group.rows.count, by: Scratch.attentionRows) {
                        let place = (group.rows.lowerBound + local) * stride + head * dimHead
                        kernels.floats.attention(
                            &view, scratch.queries + place, stride,
                            min(Scratch.attentionRows, group.rows.count - local),
                            scratch.buckets + group.bucketOffset + local * group.bucketStride, group.bucketStride,
                            resident.positionBias + (heads?[head] ?? head) * configuration.positionBiasRows,
                            1 / Float(dimHead).squareRoot(), scratch.keys + place, stride,
                            scratch.scores(thread: worker))
                    }
                }
            }
        }
    }

    /// `x = x + Lin(gelu(Lin(n; w_0)) * Lin(n; w_1); w_out)` with `n = RMS(x)`
    func feedForward(_ block: Block, layer: Int, _ worker: Int) throws(LeafError) {
        guard let norm = resident.feedForwardNorms[layer] else { return }
        let rows = step.rowCount
        let gateMatrix = block.matrices.lowerBound
        let upMatrix = gateMatrix + 1
        let width = configuration.dimFF(ofLayer: layer)
        let stride = scratch.feedForwardStride

        try prepareNormalized(norm, worker)
        try linear(
            gateMatrix..<upMatrix, rows: rows, worker, output: { _, column in (scratch.gate + column, stride) })
        let up = scratch.up(thread: worker)
        try linear(
            upMatrix..<upMatrix + 1, rows: rows, worker,
            output: { part, column in (up.start + column - part.columns.lowerBound, up.stride) },
            finish: { part in
                for row in 0..<rows {
                    kernels.floats.gelu_multiply(
                        scratch.gate + row * stride + part.columns.lowerBound, up.start + row * up.stride,
                        part.columns.count)
                }
            })
        try prepareLinearInput(rows: rows, columns: width, worker) { row, input in
            input.update(from: scratch.gate + row * stride, count: width)
        }
        try addToResidual(upMatrix + 1, worker)
    }

    /// `logits = RMS(x) . tokenTable`, for the rows that want them; of others the last norm alone.
    func project(_ block: Block, _ worker: Int) throws(LeafError) {
        let rows = step.outputRows
        try prepareLinearInput(rows: rows.count, columns: configuration.dimModel, worker) { row, input in
            kernels.floats.rms_norm(
                scratch.hiddenStates + rows[row] * scratch.dModelStride, resident.outputNorm, configuration.dimModel,
                configuration.eps, input)
        }
        try linear(
            block.matrices, rows: step.logitRowCount, worker,
            output: { _, column in (scratch.logits + column, scratch.vocabStride) })
    }

    private func prepareNormalized(_ norm: UnsafePointer<Float>, _ worker: Int) throws(LeafError) {
        try prepareLinearInput(rows: step.rowCount, columns: configuration.dimModel, worker) { row, input in
            kernels.floats.rms_norm(
                scratch.hiddenStates + row * scratch.dModelStride, norm, configuration.dimModel, configuration.eps,
                input)
        }
    }

    private func addToResidual(_ matrix: Int, _ worker: Int) throws(LeafError) {
        let stride = scratch.dModelStride
        try linear(
            matrix..<matrix + 1, rows: step.rowCount, worker, output: { _, column in (scratch.delta + column, stride) })
        for row in pool.share(of: step.rowCount, for: worker) {
            kernels.floats.add(
                scratch.hiddenStates + row * stride, scratch.delta + row * stride, configuration.dimModel)
        }
    }
}
