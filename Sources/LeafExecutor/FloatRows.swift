/// Rows of float32 numbers, one for each row of the batch, `stride` numbers apart. A view; the executor owns the
/// memory.
public struct FloatRows {
    public let start: UnsafeMutablePointer<Float>
    public let stride: Int

    init(_ start: UnsafeMutablePointer<Float>, stride: Int) {
        self.start = start
        self.stride = stride
    }

    public subscript(row: Int) -> UnsafeMutablePointer<Float> { start + row * stride }

    /// The same rows from a column on.
    public func columns(from first: Int) -> FloatRows { FloatRows(start + first, stride: stride) }
}
