import CLeafKernels
import LeafFormat

/// A row of floats where the kernels can work on it. The target's only unsafe memory.
final class FloatRow: @unchecked Sendable {
    private(set) var count: Int
    private let capacity: Int
    private let buffer: AlignedBuffer
    private let base: UnsafeMutablePointer<Float>
    private let kernels: leaf_float_kernels

    init(count: Int, kernels: leaf_float_kernels) throws(LeafError) {
        self.kernels = kernels
        self.count = count
        capacity = count
        buffer = try AlignedBuffer(count: Self.byteCount(count))
        base = buffer.bytes.bindMemory(to: Float.self).baseAddress.unsafelyUnwrapped
    }

    /// Bytes that a row of `count` numbers takes.
    static func byteCount(_ count: Int) -> Int {
        (count * MemoryLayout<Float>.stride).roundedUp(to: AlignedBuffer.alignment)
    }

    /// Numbers beyond those that were there before are whatever was left behind.
    func resize(to count: Int) {
        precondition(0 < count && count <= capacity)
        self.count = count
    }

    /// All numbers, to be read until the row changes.
    var numbers: UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: base, count: count) }

    /// Makes this row another followed by what `fill` writes behind it.
    func set(
        to first: UnsafeBufferPointer<Float>, then more: Int,
        _ fill: (UnsafeMutableBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        resize(to: first.count + more)
        if let start = first.baseAddress { base.update(from: start, count: first.count) }
        try fill(UnsafeMutableBufferPointer(start: base + first.count, count: more))
    }

    subscript(place: Int) -> Float {
        get {
            precondition(0 <= place && place < count)
            return base[place]
        }
        set {
            precondition(0 <= place && place < count)
            base[place] = newValue
        }
    }

    /// The place of the largest number, the first of equals; `count` if all are NaN.
    func placeOfLargest() -> Int {
        kernels.argmax(base, count)
    }

    /// Makes this row the softmax of another; -infinity becomes 0.
    func setToSoftmax(of logits: FloatRow) {
        precondition(logits.count == count)
        base.update(from: logits.base, count: count)
        kernels.softmax(base, count)
    }

    /// Makes this row exp(logits - shift).
    func setToExponentials(of logits: Span<Float>, less shift: Float) {
        precondition(logits.count == count)
        for place in 0..<count { base[place] = logits[place] - shift }
        kernels.exp(base, base, count)
    }

    /// Makes this row exp(logits - shift).
    func setToExponentials(of logits: FloatRow, less shift: Float) {
        precondition(logits.count == count)
        for place in 0..<count { base[place] = logits.base[place] - shift }
        kernels.exp(base, base, count)
    }
}
