import LeafFormat
import LeafSystem

/// Adapters beside the linear layers, in float32, with the same input rows as the weights.
extension SweepThread {
    /// This thread's share of the prepared rows times A, for those that have an adapter beside the matrices; meets the
    /// others if any adapter is there.
    func multiplyDown(_ matrices: Range<Int>, rows: Int) throws(LeafError) {
        let tuning = executor.tuning
        guard tuning.adapts(matrices) else { return }
        let columns = columns(of: matrices)
        let input = buffers.linearInput(columns: columns)
        for row in share(of: rows) {
            tuning.multiplyDown(
                input[row], row: row, matrices: matrices, columns: columns, executor.product.kernels.floats)
        }
        try meet()
    }

    /// Adds those products times B to a part's outputs.
    ///
    /// - Parameter matrices: those of `multiplyDown`.
    func addUp(_ part: Part, of matrices: Range<Int>, rows: Int, to target: FloatRows) {
        let tuning = executor.tuning
        guard tuning.adapts(part.matrix..<part.matrix + 1) else { return }
        for row in 0..<rows {
            tuning.addUp(
                to: target[row], row: row, matrix: part.matrix, first: matrices.lowerBound, outputs: part.outputs,
                executor.product.kernels.floats)
        }
    }
}
