import CLeafKernels
public import LeafFormat

/// How fast this machine computes int8 linear layers, measured in a fraction of a second.
public struct KernelProbe: Sendable, Equatable {
    /// Weight bytes a second with one row, weights in RAM: the rate of decoding when everything is resident.
    public let weightBytesPerSecond: Double
    /// Multiply-adds a second with many rows: the rate of a long prompt.
    public let multiplyAddsPerSecond: Double

    /// Measures on `threads` threads, with buffers of 64 MiB.
    /// - Throws: `.budget` when the system has no memory for them.
    public static func measure(
        instructionSet: InstructionSet, threads: Int, activations: ActivationPrecision = .int16
    ) throws(LeafError) -> KernelProbe {
        let pool = try ComputePool(threadCount: threads)
        defer { pool.stop() }
        // Larger than caches, so that one row measures RAM; many rows meet a part of it that a cache holds.
        let columns = 4096
        let tiles = 1024
        let manyRows = 64
        let fewTiles = 16 * threads
        let kernels = (instructionSet.table ?? leaf_kernels_best()).pointee
        let rowBytes = leaf_activation_row_bytes(activations.kernelType, columns)
        let floats = max(manyRows * fewTiles * 16, tiles * 16)
        let arena = try Arena(
            byteCount: tiles * 16 * columns + manyRows * rowBytes + (floats + tiles * 16 + columns) * 4 + 4096)
        let weights = arena.take(tiles * 16 * columns, of: Int8.self)
        for byte in stride(from: 0, to: tiles * 16 * columns, by: 61) { weights[byte] = Int8(truncatingIfNeeded: byte) }
        let scales = arena.take(tiles * 16, of: Float.self)
        let input = arena.take(columns, of: Float.self)
        for column in 0..<columns { input[column] = Float(column % 17) - 8 }
        let rows = UnsafeMutableRawPointer(arena.take(manyRows * rowBytes, of: UInt8.self))
        for row in 0..<manyRows {
            kernels.quantize_row(activations.kernelType, input, columns, columns, rows + row * rowBytes)
        }
        let output = arena.take(floats, of: Float.self)

        func seconds(rows rowCount: Int, tiles: Int) throws(LeafError) -> Double {
            var best = Double.infinity
            for _ in 0..<4 {
                let start = ContinuousClock.now
                try pool.run { worker throws(LeafError) in
                    let part = pool.share(of: tiles, for: worker)
                    kernels.linear(
                        activations.kernelType, weights + part.lowerBound * 16 * columns, part.count, columns,
                        scales + part.lowerBound * 16, rows, rowCount, output + part.lowerBound * 16, tiles * 16)
                }
                best = min(best, (ContinuousClock.now - start) / .seconds(1))
            }
            return max(best, 1e-9)
        }

        return KernelProbe(
            weightBytesPerSecond: Double(tiles * 16 * columns) / (try seconds(rows: 1, tiles: tiles)),
            multiplyAddsPerSecond: Double(manyRows * fewTiles * 16 * columns)
                / (try seconds(rows: manyRows, tiles: fewTiles)))
    }
}
