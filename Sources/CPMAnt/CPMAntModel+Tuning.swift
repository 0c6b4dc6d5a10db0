import CLeafKernels
import LeafFormat

/// Adapters beside the linear layers, in float32 on the same rows that the weights meet.
extension CPMAntModel {
    /// This thread's share of the prepared rows times A, for those that have an adapter beside the matrices, which all
    /// read the same columns; meets the others if any adapter is there.
    func multiplyDown(_ matrices: Range<Int>, rows: Int, _ worker: Int) throws(LeafError) {
        guard tuning.adapts(matrices) else { return }
        let columns = file.matrices[matrices.lowerBound].columns
        let stride = columns.roundedUp(to: 64)
        for row in pool.share(of: rows, for: worker) {
            tuning.multiplyDown(
                scratch.linearInput + row * stride, row: row, matrices: matrices, columns: columns, kernels.floats)
        }
        try pool.meet(worker)
    }

    /// Adds those products times B to a part of the result.
    ///
    /// - Parameters:
    ///   - matrices: those of `multiplyDown`.
    ///   - target: where the first row's result for the part's first column is, and the rows' stride in floats.
    func addUp(
        _ part: Part, of matrices: Range<Int>, rows: Int, to target: (start: UnsafeMutablePointer<Float>, stride: Int)
    ) {
        guard tuning.adapts(part.matrix..<part.matrix + 1) else { return }
        for row in 0..<rows {
            tuning.addUp(
                to: target.start + row * target.stride, row: row, matrix: part.matrix, first: matrices.lowerBound,
                columns: part.columns, kernels.floats)
        }
    }
}
