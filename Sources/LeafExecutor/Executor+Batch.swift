import CLeafKernels
package import LeafFormat
import LeafStream
package import LeafSystem

/// A batch before its first block: checked, placed in the cache, embedded, with bias rows that say who sees whom.
extension Executor {
    /// Checks the batch against the capacity and gives its rows places in the cache.
    func begin(_ batch: RowBatch) throws(LeafError) {
        guard !batch.rows.isEmpty, batch.rows.count <= capacity.rows, batch.logitRowCount <= capacity.logitRows else {
            throw LeafError(
                .tooLong,
                "\(batch.rows.count) rows with \(batch.logitRowCount) rows of logits were asked of a model planned for "
                    + "\(capacity.rows) and \(capacity.logitRows); plan for a longer context"
            )
        }
        try check(batch.rows[...])
        tuning.begin(batch)
        step.rowCount = batch.rows.count
        step.groups.removeAll(keepingCapacity: true)
        step.places.removeAll(keepingCapacity: true)
        step.outputRows.removeAll(keepingCapacity: true)
        var biasOffset = 0
        var first = 0
        while first < batch.rows.count {
            let rows = batch.group(from: first)
            let sequence = batch.rows[first].sequence
            let keyCount = try cache.place(batch.rows[rows], in: sequence)
            for row in rows { step.places.append(Int(batch.rows[row].place)) }
            step.groups.append(
                Step.Group(
                    sequence: sequence, rows: rows, keyCount: keyCount, biasOffset: biasOffset,
                    biasStride: keyCount.roundedUp(to: 16)))
            biasOffset += keyCount.roundedUp(to: 16) * rows.count
            first = rows.upperBound
        }
        guard biasOffset <= scratch.biasRowCapacity else {
            throw LeafError(
                .tooLong, "the batch looks at more cached tokens than were planned; plan for a longer context")
        }
        for row in batch.rows.indices where batch.rows[row].wantsLogits { step.outputRows.append(row) }
        step.logitRowCount = step.outputRows.count
        for row in batch.rows.indices where !batch.rows[row].wantsLogits && batch.rows[row].wantsHiddenState {
            step.outputRows.append(row)
        }
    }

    /// Whether the model has what the rows name.
    ///
    /// - Throws: `.usage` for the first row that it cannot compute.
    package func check(_ rows: ArraySlice<RowBatch.Row>) throws(LeafError) {
        for row in rows { try check(row) }
    }

    private func check(_ row: RowBatch.Row) throws(LeafError) {
        let softPromptRows = facts.softPromptRows + tuning.softPromptCount
        switch row.input {
        case .token(let id) where id < 0 || Int(id) >= facts.vocabSize:
            throw LeafError(.usage, "token id \(id) is outside the vocabulary (0 to \(facts.vocabSize - 1))")
        case .softPrompt(let number) where number < 0 || Int(number) >= softPromptRows:
            throw LeafError(.usage, "soft prompt row \(number) is outside the table (0 to \(softPromptRows - 1))")
        default: break
        }
        try tuning.check(row)
        try architecture.check(row)
    }

    /// Embeds the rows with the token table of this executor or of its lender.
    func embed(_ batch: RowBatch, fromTableOf source: Executor) throws(LeafError) {
        for (number, row) in batch.rows.enumerated() {
            try source.architecture.embed(
                row.input, segment: row.segment, into: scratch.hiddenStates[number], source)
        }
    }

    /// Takes the rows' hidden states from where another executor left them.
    func take(_ given: UnsafeBufferPointer<Float>) {
        precondition(given.count == step.rowCount * facts.dModel)
        guard let start = given.baseAddress else { return }
        for row in 0..<step.rowCount {
            scratch.hiddenStates[row].update(from: start + row * facts.dModel, count: facts.dModel)
        }
    }

    /// Asks the architecture who sees whom. Padding sees nothing and is not seen, nor are positions that were hidden.
    func fillBiasRows(_ worker: Int) {
        let masked = UInt16(LEAF_MASKED)
        for group in step.groups {
            cache.withPages(of: group.sequence) { pages in
                for local in pool.share(of: group.rows.count, for: worker) {
                    let place = step.places[group.rows.lowerBound + local]
                    let query = cache.positions(page: pages[place / 16])[place % 16]
                    let row = scratch.biasRows + group.biasOffset + local * group.biasStride
                    if query.isPadding {
                        row.update(repeating: masked, count: group.biasStride)
                        continue
                    }
                    for page in pages.indices {
                        let keys = cache.positions(page: pages[page])
                        architecture.look(from: query, at: keys, biasRows: row + page * 16)
                        for key in 0..<16 where page * 16 + key >= group.keyCount || keys[key].isPadding {
                            row[page * 16 + key] = masked
                        }
                    }
                    for hidden in cache.hiddenPositions(of: group.sequence, from: place) { row[hidden] = masked }
                    hideOtherDrafts(from: place, pages, group, row)
                }
            }
        }
    }
}

extension Executor {
    /// Masks the drafts that a row does not stand behind.
    ///
    /// - Parameter row: the bias rows of the row at `place`.
    private func hideOtherDrafts(
        from place: Int, _ pages: UnsafeBufferPointer<UInt32>, _ group: Step.Group, _ row: UnsafeMutablePointer<UInt16>
    ) {
        guard let trunk = cache.trunk(of: group.sequence) else { return }
        var ancestor = place
        for key in (trunk..<group.keyCount).reversed() {
            if key == ancestor {
                ancestor = Int(cache.positions(page: pages[key / 16])[key % 16].parent)
            } else {
                row[key] = UInt16(LEAF_MASKED)
            }
        }
    }
}

/// What an architecture's `embed` reads.
extension Executor {
    /// Writes one token's row of the token table, times its scale, plus `addend` to `hiddenState`, `[dModel]`.
    package func embed(
        token id: Int, adding addend: UnsafePointer<Float>, into hiddenState: UnsafeMutablePointer<Float>
    ) throws(LeafError) {
        let matrix = matrices[facts.tokenTable]
        guard
            let chunk = file.chunks[matrix.chunks].first(where: {
                $0.firstOutput <= id && id < $0.firstOutput + $0.outputCount
            })
        else { throw LeafError(.badInput, "\(file.path) has no row for token \(id); \(file.remedy)") }
        let local = id - chunk.firstOutput
        let unit = matrix.layout.unitOutputs
        let unitBytes = matrix.layout.byteCount(outputs: unit, columns: matrix.columns)
        try store.read(
            at: chunk.offset + local / unit * unitBytes,
            into: UnsafeMutableRawBufferPointer(start: scratch.tableUnit, count: unitBytes))
        if let scales = matrix.scales {
            product.kernels.product.embed_row(
                scratch.tableUnit, local % unit, scales[id], addend, facts.dModel,
                hiddenState)
        } else {
            embed(
                floats: scratch.tableUnit, layout: matrix.layout, scale: matrix.scale, adding: addend,
                into: hiddenState)
        }
    }

    /// Writes a plain float row, times its scale, plus `addend`.
    package func embed(
        floats source: UnsafeRawPointer, layout: WeightLayout, scale: FanInScale, adding addend: UnsafePointer<Float>,
        into hiddenState: UnsafeMutablePointer<Float>
    ) {
        if layout == .float16 {
            product.kernels.floats.f16_to_f32(source.assumingMemoryBound(to: UInt16.self), hiddenState, facts.dModel)
        } else {
            UnsafeMutableRawPointer(hiddenState).copyMemory(from: source, byteCount: facts.dModel * 4)
        }
        for column in 0..<facts.dModel { hiddenState[column] = hiddenState[column] * scale.factor + addend[column] }
    }

    /// `[dModel]` zeros, to be added where nothing is.
    package var zeros: UnsafePointer<Float> { scratch.zeros }

    /// A row of the soft prompts that were loaded beside the model, `[dModel]`.
    package func tunedSoftPrompt(_ row: Int) -> UnsafePointer<Float> { tuning.softPrompt(row) }
}
