package import CLeafKernels
import LeafConversion
import LeafFormat
package import LeafSystem

/// The C functions that turn weights of one type into another, of one instruction set.
///
/// Unchecked because a table of C functions is not marked as sendable; nobody writes to it.
package struct WeightKernels: @unchecked Sendable {
    private let functions: leaf_float_kernels

    /// The fastest that this processor has.
    package static var best: WeightKernels { WeightKernels(leaf_kernels_best().pointee.floats.pointee) }

    /// - Parameter instructionSet: such as `avx2`; nil for the fastest that this processor has.
    /// - Throws: `.usage` when this processor lacks it.
    package init(_ instructionSet: String?) throws(LeafError) {
        guard let instructionSet else {
            self = .best
            return
        }
        guard let table = leaf_kernels_named(instructionSet) else {
            throw LeafError(.usage, "the instruction set \(instructionSet) does not run on this machine")
        }
        self.init(table.pointee.floats.pointee)
    }

    package init(_ functions: leaf_float_kernels) { self.functions = functions }

    func widenHalves(_ halves: UnsafePointer<UInt16>, count: Int, to floats: UnsafeMutablePointer<Float>) {
        functions.f16_to_f32(halves, floats, count)
    }

    func widenBrainFloats(_ numbers: UnsafePointer<UInt16>, count: Int, to floats: UnsafeMutablePointer<Float>) {
        functions.bf16_to_f32(numbers, floats, count)
    }

    /// To nearest even; what is too large becomes an infinity.
    func narrow(_ floats: UnsafePointer<Float>, count: Int, to halves: UnsafeMutablePointer<UInt16>) {
        functions.f32_to_f16(floats, halves, count)
    }

    /// The largest magnitude; NaN if there is one.
    func largestMagnitude(_ floats: UnsafePointer<Float>, count: Int) -> Float { functions.absmax(floats, count) }

    /// Rounds an output's finite numbers to int8: `round(x / s)` with `s = absmax / 127`, half to even.
    ///
    /// - Parameter scale: what is still to be done to the numbers.
    /// - Returns: the scale to store, which does it.
    func quantize(
        _ floats: UnsafePointer<Float>, count: Int, _ scale: FanInScale, to values: UnsafeMutablePointer<Int8>
    ) -> Float {
        let step = largestMagnitude(floats, count: count) / 127
        functions.quantize_weights(floats, count, step, values)
        return scale.applied(to: step)
    }

    /// The same instruction set's.
    var codec: TileCodec { TileCodec(functions) }
}
