import LeafSystem

/// The numbers that merging an adapter adds to a matrix: `scale * B A`.
struct LowRankAddition: Sendable {
    private let scale: Float
    private let rank: Int
    private let a: [Float]
    private let b: [Float]

    /// - Parameter factor: the divisor that the weights will still get.
    /// - Throws: like `AdapterFile.Factors.floats`.
    init(_ factors: AdapterFile.Factors, factor: Double, _ kernels: WeightKernels) throws(LeafError) {
        (a, b) = try factors.floats(kernels)
        rank = factors.rank
        scale = Float(Double(factors.scale) * factor)
    }

    /// Adds the numbers to one output of the matrix.
    func add(toRow row: Int, _ numbers: UnsafeMutablePointer<Float>, columns: Int) {
        a.withUnsafeBufferPointer { a in
            for k in 0..<rank {
                let weight = b[row * rank + k] * scale
                for column in 0..<columns { numbers[column] += weight * a[k * columns + column] }
            }
        }
    }
}
