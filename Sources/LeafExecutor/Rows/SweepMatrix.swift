import LeafFormat

/// A matrix as threads read it on a sweep: numbers alone, because each copy of a `Matrix` counts references to its
/// name, in all threads at once.
struct SweepMatrix {
    let columns: Int
    let layout: WeightLayout
    let scale: FanInScale
    /// Indices into the file's chunks.
    let chunks: Range<Int>
    /// `[outputs]`, where the layout has resident scales.
    let scales: UnsafePointer<Float>?

    init(_ matrix: Matrix, scales: UnsafePointer<Float>?) {
        columns = matrix.columns
        layout = matrix.layout
        scale = matrix.shape.scale
        chunks = matrix.chunks
        self.scales = scales
    }
}
