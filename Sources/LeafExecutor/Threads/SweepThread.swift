import CLeafKernels
import LeafFormat
import LeafStream
package import LeafSystem

/// One compute thread on a sweep: what an architecture computes with.
///
/// All threads run the same block and do their shares of each step; `meet` is where a step needs what all have done.
package struct SweepThread {
    let executor: Executor
    /// Whose weights the block has: the executor's own, or those that it borrows.
    let source: Executor
    /// Its number, from 0.
    let number: Int

    /// Every buffer of the forward pass.
    package var buffers: Scratch { executor.scratch }
    /// Rows on the sweep.
    package var rowCount: Int { executor.step.rowCount }
    /// The place of each row in the cache, which is its index in its text.
    package var indices: [Int] { executor.step.places }
    /// Rows of the batch that want an output, those with logits first.
    package var outputRows: [Int] { executor.step.outputRows }
    package var logitRowCount: Int { executor.step.logitRowCount }

    private var kernels: Kernels { executor.product.kernels }

    /// Waits until all threads are here. What each wrote before, all see afterwards.
    ///
    /// - Throws: when one of them failed before it came here; the block must end then.
    package func meet() throws(LeafError) { try executor.pool.meet(number) }

    /// This thread's part of `count` items.
    package func share(of count: Int) -> Range<Int> { executor.pool.share(of: count, for: number) }

    // MARK: Rows

    /// `y = x / sqrt(mean(x^2) + eps) * weight`, over the model's `dModel` numbers.
    package func rmsNorm(
        _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, eps: Float, into y: UnsafeMutablePointer<Float>
    ) {
        kernels.floats.rms_norm(x, weight, executor.facts.dModel, eps, y)
    }

    /// `gate = gelu(gate) * up` over `count` numbers.
    package func geluMultiply(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, count: Int) {
        kernels.floats.gelu_multiply(gate, up, count)
    }

    /// `hiddenStates += delta`, this thread's share of the rows.
    package func addDelta() {
        for row in share(of: rowCount) {
            kernels.floats.add(buffers.hiddenStates[row], buffers.delta[row], executor.facts.dModel)
        }
    }

    // MARK: Linear layers

    /// Columns of the first of some matrices.
    package func columns(of matrices: Range<Int>) -> Int { source.matrices[matrices.lowerBound].columns }

    /// Prepares this thread's share of the rows for the matrices that read them, and meets the others.
    ///
    /// - Parameters:
    ///   - matrices: indices into the file's matrices, which all have the same columns.
    ///   - fill: is handed the row's number, and writes the matrices' `columns` numbers.
    package func prepare(
        rows: Int, for matrices: Range<Int>, fill: (Int, UnsafeMutablePointer<Float>) -> Void
    ) throws(LeafError) {
        let begin = TraceRecorder.now(executor.trace)
        let columns = columns(of: matrices)
        let input = buffers.linearInput(columns: columns)
        let isQuantized = source.isQuantized(matrices)
        let rowBytes = isQuantized ? executor.product.quantizedRowBytes(columns: columns) : 0
        for row in share(of: rows) {
            let numbers = input[row]
            for column in columns..<input.stride { numbers[column] = 0 }
            fill(row, numbers)
            if isQuantized {
                kernels.product.quantize_row(
                    executor.product.activations.kernelType, numbers, columns, input.stride,
                    buffers.quantizedRows + row * rowBytes)
            }
        }
        executor.trace?.record(.rows, on: .compute(number), since: begin, rows)
        try meet()
        try executor.observer?.observe(
            input, rows: rows, columns: columns, matrices: matrices, thread: number, of: executor.pool.threadCount)
    }

    /// Some outputs of one matrix, which one thread computes.
    package struct Part {
        /// Index into the file's matrices.
        package let matrix: Int
        /// The matrix among those that are computed together.
        package let ordinal: Int
        package let outputs: Range<Int>
    }

    /// Computes `rows x matrices`. Threads claim tiles chunk by chunk until none are left, then wait for each other
    /// once.
    ///
    /// On a sweep back, a block asks for its matrices from the last to the first, and so does this.
    ///
    /// - Parameters:
    ///   - rows: as many as were prepared, or the first of them.
    ///   - matrices: those of `prepare`, in sweep order.
    ///   - target: where a part's outputs go: the row of the batch, the first output of the part.
    ///   - finish: called when all rows have the part's outputs.
    package func linear(
        rows: Int, _ matrices: Range<Int>, into target: (Part) -> FloatRows, finish: (Part) -> Void = { _ in }
    ) throws(LeafError) {
        try multiplyDown(matrices, rows: rows)
        for turn in 0..<matrices.count {
            let index = inOrder(matrices, turn)
            let begin = TraceRecorder.now(executor.trace)
            defer { executor.trace?.record(.linear, on: .compute(number), since: begin, index) }
            let chunks = source.matrices[index].chunks
            for turn in 0..<chunks.count {
                let chunk = inOrder(chunks, turn)
                let lease = try lease(chunk)
                claimParts(of: index, among: matrices, in: lease, rows: rows, into: target, finish: finish)
            }
        }
        try meet()
    }

    private func lease(_ chunk: Int) throws(LeafError) -> ChunkLease {
        if source === executor { return try executor.store.lease(chunk, consumer: number) }
        return try source.store.borrow(chunk)
    }

    /// Computes what this thread claims of one chunk.
    ///
    /// It is a function of its own because a lease is put on the heap where the same function has a closure.
    private func claimParts(
        of index: Int, among matrices: Range<Int>, in lease: borrowing ChunkLease, rows: Int,
        into target: (Part) -> FloatRows, finish: (Part) -> Void
    ) {
        let chunk = lease.chunk
        lease.bytes.withUnsafeBytes { bytes in
            guard rows > 0, let base = bytes.baseAddress else { return }
            while let part = source.claim(chunk, of: index, ordinal: index - matrices.lowerBound) {
                let output = target(part)
                multiply(part, base, in: chunk, rows: rows, output)
                addUp(part, of: matrices, rows: rows, to: output)
                finish(part)
            }
        }
    }

    /// The `turn`th of some indices, from 0, the way that the sweep goes.
    private func inOrder(_ indices: Range<Int>, _ turn: Int) -> Int {
        executor.step.direction == .forward ? indices.lowerBound + turn : indices.upperBound - 1 - turn
    }

    private func multiply(_ part: Part, _ base: UnsafeRawPointer, in chunk: Int, rows: Int, _ output: FloatRows) {
        let matrix = source.matrices[part.matrix]
        let first = part.outputs.lowerBound - source.file.chunks[chunk].firstOutput
        let input = LinearProduct.Input(
            rowCount: rows, columns: matrix.columns, quantized: buffers.quantizedRows,
            floats: buffers.linearInput(columns: matrix.columns))
        let weights = LinearProduct.Weights(
            bytes: base + matrix.layout.byteCount(outputs: first, columns: matrix.columns),
            outputCount: part.outputs.count, layout: matrix.layout, scale: matrix.scale,
            scales: matrix.scales.map { $0 + part.outputs.lowerBound })
        executor.product.multiply(input, weights, into: output, widened: buffers.widened(thread: number))
    }
}
