package import LeafSystem

/// What looks at the rows that matrices multiply, while a model runs.
package protocol InputObserver: AnyObject, Sendable {
    /// Bytes of its buffers, for so many threads.
    func byteCount(threads: Int) -> Int

    /// Called by every compute thread when the rows are there, before they are multiplied. The threads come together
    /// afterwards; until then the rows stay.
    ///
    /// - Parameters:
    ///   - input: `[rows, columns]`, padded with zeros to a multiple of 64 columns.
    ///   - matrices: indices into the file's matrices, which all read these rows.
    ///   - thread: from 0.
    func observe(
        _ input: FloatRows, rows: Int, columns: Int, matrices: Range<Int>, thread: Int, of threads: Int
    ) throws(LeafError)
}
