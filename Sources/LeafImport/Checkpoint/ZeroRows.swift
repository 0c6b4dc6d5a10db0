import LeafFormat
import LeafSystem

/// The rows of matrices that are zeros alone, counted while they are converted.
///
/// A download that was not finished has holes, which read as zeros, and nothing else in a safetensors file tells. No
/// training leaves a row of zeros in many; pruning does.
struct ZeroRows {
    private struct Matrix {
        let name: String
        let path: String
        let rows: Int
        var zeros = 0

        /// A few may be neurons that died, or rows of tokens that no text had.
        var isStrange: Bool { zeros >= min(rows, 16) }
    }

    private var matrices: [Matrix] = []
    /// Matrices of an earlier run, which nobody counted.
    private let uncounted: Int

    /// - Parameter uncounted: matrices that an interrupted run has converted.
    init(uncounted: Int) { self.uncounted = uncounted }

    /// Pieces come in the order of their matrices.
    mutating func add(_ piece: EncodedPiece) {
        if piece.piece.isFirst || matrices.isEmpty {
            matrices.append(
                Matrix(
                    name: piece.tensor.name, path: piece.tensor.storage.path, rows: piece.piece.matrix.outputs))
        }
        matrices[matrices.count - 1].zeros += piece.zeroRows
    }

    /// One for each file that has such matrices.
    var warnings: [String] {
        let strange = Dictionary(grouping: matrices.filter(\.isStrange), by: \.path)
        return strange.sorted { $0.key < $1.key }.map { path, matrices in
            let first = matrices[0]
            let more = matrices.count > 1 ? ", and so are many of \(matrices.count - 1) more matrices" : ""
            let rest =
                uncounted > 0 ? " (the \(uncounted) matrices that an earlier run converted were not counted again)" : ""
            return "\(path): \(first.zeros) of \(first.rows) rows of \(first.name) are zeros\(more)\(rest), as in a "
                + "download that was not finished; get the file again if the model was not pruned"
        }
    }
}
