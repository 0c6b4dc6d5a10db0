/// Rows of float32 numbers, one for each row of the batch, `stride` numbers apart. A view; the executor owns the
/// memory.
package struct FloatRows {
    package let start: UnsafeMutablePointer<Float>
    package let stride: Int

    init(_ start: UnsafeMutablePointer<Float>, stride: Int) {
        self.start = start
        self.stride = stride
    }

    package subscript(row: Int) -> UnsafeMutablePointer<Float> { start + row * stride }

    /// The same rows from a column on.
    package func columns(from first: Int) -> FloatRows { FloatRows(start + first, stride: stride) }
}
