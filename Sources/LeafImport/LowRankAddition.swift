import LeafFormat

/// What an adapter adds to the rows of a matrix when it is merged: `scale * B A`.
struct LowRankAddition: Sendable {
    private let scale: Float
    private let rank: Int
    private let a: [Float]
    private let b: [Float]

    /// - Parameter factor: what the weights are still to be divided by.
    /// - Throws: as `AdapterFile.Factors.floats`.
    init(_ factors: AdapterFile.Factors, factor: Double, _ kernels: WeightKernels) throws(LeafError) {
        (a, b) = try factors.floats(kernels)
        rank = factors.rank
        scale = Float(Double(factors.scale) * factor)
    }

    /// Adds to one row of the matrix.
    func add(toRow row: Int, _ numbers: UnsafeMutablePointer<Float>, columns: Int) {
        a.withUnsafeBufferPointer { a in
            for k in 0..<rank {
                let weight = b[row * rank + k] * scale
                for column in 0..<columns { numbers[column] += weight * a[k * columns + column] }
            }
        }
    }
}
