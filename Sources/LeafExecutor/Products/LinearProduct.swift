import CLeafBLAS
import CLeafKernels
import LeafFormat
import LeafSystem

/// Rows times stored weights, whatever the layout: the one place that chooses between the kernels and OpenBLAS.
struct LinearProduct {
    let kernels: Kernels
    let activations: ActivationPrecision
    /// For float layouts only.
    private let sgemm: leaf_sgemm_fn?

    /// Outputs of a float16 matrix that are widened at a time.
    static let widenedOutputs = 32

    /// Bytes of the packing buffers that OpenBLAS allocates for the threads that call it.
    static func blasBytes(threads: Int) -> Int { 32 << 20 + threads * (32 << 20) }

    /// - Throws: `.usage` when a float layout meets a machine without OpenBLAS.
    init(
        _ kernels: Kernels, _ activations: ActivationPrecision, layouts: some Sequence<WeightLayout>
    ) throws(LeafError) {
        self.kernels = kernels
        self.activations = activations
        guard layouts.contains(where: { !$0.isQuantized }) else {
            sgemm = nil
            return
        }
        guard let loaded = leaf_sgemm_load() else {
            throw LeafError(
                .usage, "float weights need OpenBLAS, which is not installed; run apt-get install libopenblas0")
        }
        sgemm = loaded
    }

    /// Bytes of one quantized row.
    func quantizedRowBytes(columns: Int) -> Int {
        leaf_activation_row_bytes(activations.kernelType, columns.roundedUp(to: WeightTile.columnAlignment))
    }

    /// Rows as a product reads them.
    struct Input {
        let rowCount: Int
        /// Columns of the matrix.
        let columns: Int
        /// `[rowCount]` quantized rows, one behind the other.
        let quantized: UnsafeRawPointer
        /// `[rowCount, columns]`
        let floats: FloatRows
    }

    /// Some outputs of one matrix.
    struct Weights {
        /// The bytes of the first output, which begins a unit.
        let bytes: UnsafeRawPointer
        let outputCount: Int
        let layout: WeightLayout
        let scale: FanInScale
        /// `[outputCount]`, where the layout has resident scales.
        let scales: UnsafePointer<Float>?
    }

    /// Writes `input x weights` to `output`, `[rowCount, outputCount]` and outputs of padding.
    ///
    /// - Parameter widened: room for `widenedOutputs` rows of a float16 matrix, this thread's own.
    func multiply(
        _ input: Input, _ weights: Weights, into output: FloatRows, widened: UnsafeMutablePointer<Float>
    ) {
        switch weights.layout {
        case .int8, .q4, .q3:
            guard let scales = weights.scales else { return }
            kernels.product(weights.layout).linear(
                activations.kernelType, weights.bytes,
                weights.outputCount / WeightTile.outputs, weights.layout.storedColumns(input.columns), scales,
                input.quantized, input.rowCount, output.start, output.stride)
        case .float32:
            multiply(
                input, weights.bytes.assumingMemoryBound(to: Float.self), weights.outputCount, weights.scale, output)
        case .float16:
            let halves = weights.bytes.assumingMemoryBound(to: UInt16.self)
            for first in stride(from: 0, to: weights.outputCount, by: Self.widenedOutputs) {
                let count = min(Self.widenedOutputs, weights.outputCount - first)
                kernels.floats.f16_to_f32(halves + first * input.columns, widened, count * input.columns)
                multiply(input, widened, count, weights.scale, output.columns(from: first))
            }
        }
    }

    private func multiply(
        _ input: Input, _ weights: UnsafePointer<Float>, _ outputCount: Int, _ scale: FanInScale, _ output: FloatRows
    ) {
        sgemm?(
            input.rowCount, outputCount, input.columns, scale.factor, input.floats.start, input.floats.stride, weights,
            input.columns, output.start, output.stride)
    }
}
