import CLeafKernels
import LeafSystem

/// A row of floats that kernels can work on. It holds the only unsafe memory of this target.
final class FloatRow: @unchecked Sendable {
    private(set) var count: Int
    private let capacity: Int
    private let buffer: PageMemory
    private let base: UnsafeMutablePointer<Float>
    private let kernels: leaf_float_kernels

    init(count: Int, kernels: leaf_float_kernels) throws(LeafError) {
        self.kernels = kernels
        self.count = count
        capacity = count
        buffer = try PageMemory(count: Self.byteCount(count))
        base = buffer.bytes.bindMemory(to: Float.self).baseAddress.unsafelyUnwrapped
    }

    /// Bytes of a row with `count` numbers.
    static func byteCount(_ count: Int) -> Int {
        (count * MemoryLayout<Float>.stride).roundedUp(to: PageMemory.pageBytes)
    }

    /// Changes the count. New numbers at the end are undefined.
    func resize(to count: Int) {
        precondition(0 < count && count <= capacity)
        self.count = count
    }

    /// All numbers; valid until the row changes.
    var numbers: UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: base, count: count) }

    /// Sets this row to another one, followed by what `fill` writes after it.
    func set(
        to first: UnsafeBufferPointer<Float>, then more: Int,
        _ fill: (UnsafeMutableBufferPointer<Float>) throws(LeafError) -> Void
    ) throws(LeafError) {
        resize(to: first.count + more)
        if let start = first.baseAddress { base.update(from: start, count: first.count) }
        try fill(UnsafeMutableBufferPointer(start: base + first.count, count: more))
    }

    subscript(index: Int) -> Float {
        get {
            precondition(0 <= index && index < count)
            return base[index]
        }
        set {
            precondition(0 <= index && index < count)
            base[index] = newValue
        }
    }

    /// The index of the largest number, the first of equal ones; `count` if all are NaN.
    func indexOfLargest() -> Int {
        kernels.argmax(base, count)
    }

    /// Sets this row to the softmax of another; -infinity becomes 0.
    func setToSoftmax(of logits: FloatRow) {
        precondition(logits.count == count)
        base.update(from: logits.base, count: count)
        kernels.softmax(base, count)
    }

    /// Sets this row to exp(logits - shift).
    func setToExponentials(of logits: Span<Float>, less shift: Float) {
        precondition(logits.count == count)
        for index in 0..<count { base[index] = logits[index] - shift }
        kernels.exp(base, base, count)
    }

    /// Sets this row to exp(logits - shift).
    func setToExponentials(of logits: FloatRow, less shift: Float) {
        precondition(logits.count == count)
        for index in 0..<count { base[index] = logits.base[index] - shift }
        kernels.exp(base, base, count)
    }
}
