import CLeafBLAS
import CLeafKernels
import LeafFormat
import LeafStream

/// Linear layers: rows against the chunks of a matrix as they come.
extension CPMAntModel {
    /// Bytes that OpenBLAS allocates for the threads that call it: its packing buffers.
    static func blasBytes(threads: Int) -> Int { 32 << 20 + threads * (32 << 20) }

    /// Prepares this thread's share of the rows for the matrices that read them, and meets the others: `fill` writes one
    /// float row, which is quantized for int8 weights.
    /// - Parameters:
    ///   - columns: numbers in a row.
    ///   - fill: is handed the row's number and where to write it.
    func prepareLinearInput(
        rows: Int, columns: Int, _ worker: Int, fill: (Int, UnsafeMutablePointer<Float>) -> Void
    ) throws(LeafError) {
        let begin = TraceRecorder.now(trace)
        let stride = columns.roundedUp(to: 64)
        let rowBytes = file.weights == .int8 ? leaf_activation_row_bytes(activations.kernelType, stride) : 0
        for row in pool.share(of: rows, for: worker) {
            let input = scratch.linearInput + row * stride
            for column in columns..<stride { input[column] = 0 }
            fill(row, input)
            if file.weights == .int8 {
                kernels.quantize_row(
                    activations.kernelType, input, columns, stride, scratch.quantizedRows + row * rowBytes)
            }
        }
        trace?.record(.rows, on: .compute(worker), since: begin, rows)
        try pool.meet(worker)
    }

    /// Some output columns of one chunk, which one thread computes.
    struct Part {
        /// Index into the file's matrices.
        let matrix: Int
        let columns: Range<Int>
        let worker: Int
    }

    /// Multiplies the prepared rows by the parts that this thread gets of the matrices, which all read the same columns,
    /// without waiting in between, and meets the others.
    ///
    /// - Parameters:
    ///   - matrices: indices into the file's matrices, in sweep order.
    ///   - output: where the first row's result for a column of the part goes, and the rows' stride in floats.
    ///   - finish: called when all rows have the part's results.
    func linear(
        _ matrices: Range<Int>, rows: Int, _ worker: Int,
        output: (_ part: Part, _ column: Int) -> (start: UnsafeMutablePointer<Float>, stride: Int),
        finish: (_ part: Part) -> Void = { _ in }
    ) throws(LeafError) {
        try multiplyDown(matrices, rows: rows, worker)
        for index in matrices {
            let begin = TraceRecorder.now(trace)
            defer { trace?.record(.linear, on: .compute(worker), since: begin, index) }
            for chunk in file.matrices[index].chunks {
                let lease = try store.lease(chunk, consumer: worker)
                let entry = file.chunks[chunk]
                lease.bytes.withUnsafeBytes { bytes in
                    guard rows > 0, let base = bytes.baseAddress else { return }
                    // Whole tiles of 16 rows, so that every part begins aligned.
                    let tileCount = entry.rowCount.roundedUp(to: 16) / 16
                    let step = TileClaims.step(of: tileCount, threads: pool.threadCount, file.weights)
                    while let tiles = claims.take(step, of: tileCount, in: chunk) {
                        let last = min(tiles.upperBound * 16, entry.rowCount)
                        let part = Part(
                            matrix: index, columns: entry.firstRow + tiles.lowerBound * 16..<entry.firstRow + last,
                            worker: worker)
                        if file.weights == .int8 {
                            multiplyInt8(part, base, in: entry, rows: rows, output(part, part.columns.lowerBound))
                        } else {
                            multiplyFloats(part, base, in: entry, rows: rows, output)
                        }
                        addUp(part, of: matrices, rows: rows, to: output(part, part.columns.lowerBound))
                        finish(part)
                    }
                }
            }
        }
        try pool.meet(worker)
    }

    private func multiplyInt8(
        _ part: Part, _ chunk: UnsafeRawPointer, in entry: Chunk, rows: Int,
        _ target: (start: UnsafeMutablePointer<Float>, stride: Int)
    ) {
        let columns = file.matrices[part.matrix].paddedColumns
        let tiles = chunk.assumingMemoryBound(to: Int8.self) + (part.columns.lowerBound - entry.firstRow) * columns
        kernels.linear(
            activations.kernelType, tiles, part.columns.count / 16, columns,
            resident.rowScales[part.matrix] + part.columns.lowerBound, scratch.quantizedRows, rows, target.start,
            target.stride)
    }

    private func multiplyFloats(
        _ part: Part, _ chunk: UnsafeRawPointer, in entry: Chunk, rows: Int,
        _ output: (_ part: Part, _ column: Int) -> (start: UnsafeMutablePointer<Float>, stride: Int)
    ) {
        guard let sgemm else { return }
        let columns = file.matrices[part.matrix].columns
        let alpha = configuration.isScaleFolded ? 1 : 1 / Float(columns).squareRoot()
        let isHalf = file.weights == .float16
        let step = isHalf ? Scratch.widenedRows : part.columns.count
        for first in stride(from: part.columns.lowerBound, to: part.columns.upperBound, by: step) {
            let count = min(step, part.columns.upperBound - first)
            let place = (first - entry.firstRow) * columns
            let weights: UnsafePointer<Float>
            if isHalf {
                let widened = scratch.widenedWeights(thread: part.worker)
                kernels.f16_to_f32(chunk.assumingMemoryBound(to: UInt16.self) + place, widened, count * columns)
                weights = UnsafePointer(widened)
            } else {
                weights = chunk.assumingMemoryBound(to: Float.self) + place
            }
            let target = output(part, first)
            sgemm(
                rows, count, columns, alpha, scratch.linearInput, columns.roundedUp(to: 64), weights, columns,
                target.start, target.stride)
        }
    }
}
