import CLeafKernels
import Glibc
package import LeafFormat
package import LeafSystem

/// Measures in about two seconds how fast this machine computes linear layers and reads its memory. It works as a sweep
/// does: chunks of 2 MiB in huge pages, too many for the caches, all threads on each chunk, the same kernels.
package struct KernelProbe: Sendable, Equatable {
    /// The rate for one number of rows.
    package struct Rate: Sendable, Equatable {
        package let rows: Int
        /// Bytes of weights per second that are multiplied with these rows.
        package let weightBytesPerSecond: Double

        package init(rows: Int, weightBytesPerSecond: Double) {
            self.rows = rows
            self.weightBytesPerSecond = weightBytesPerSecond
        }
    }

    package let threads: Int
    /// Bytes per second that all threads together read from memory if they do nothing else.
    package let readBytesPerSecond: Double
    /// The rates in order of rows, one row first.
    package let rates: [Rate]
    package let bytesPerWeight: Double
    /// Seconds to start all threads and to wait for them.
    package let joinSeconds: Double
    /// Bytes per second whose digest one thread checks, as for bytes that are read for the first time.
    package let digestBytesPerSecond: Double
    /// Seconds for the first use of a byte of new memory, which the kernel fills with zeros.
    package let touchSecondsPerByte: Double

    package init(
        threads: Int, readBytesPerSecond: Double, rates: [Rate], bytesPerWeight: Double, joinSeconds: Double,
        digestBytesPerSecond: Double, touchSecondsPerByte: Double
    ) {
        precondition(!rates.isEmpty)
        self.threads = threads
        self.readBytesPerSecond = readBytesPerSecond
        // More rows are never faster, whatever a measurement of them says.
        var most = Double.infinity
        self.rates = rates.sorted { $0.rows < $1.rows }.map {
            most = min(most, $0.weightBytesPerSecond)
            return Rate(rows: $0.rows, weightBytesPerSecond: most)
        }
        self.bytesPerWeight = bytesPerWeight
        self.joinSeconds = joinSeconds
        self.digestBytesPerSecond = digestBytesPerSecond
        self.touchSecondsPerByte = touchSecondsPerByte
    }

    /// The rate for any number of rows. Between two measured numbers each row costs the same; beyond the last, the time
    /// is proportional to the rows.
    package func weightBytesPerSecond(rows: Int) -> Double {
        guard let above = rates.firstIndex(where: { $0.rows >= rows }) else {
            let last = rates[rates.count - 1]
            return last.weightBytesPerSecond * Double(last.rows) / Double(max(1, rows))
        }
        guard above > 0, rates[above].rows > rows else { return rates[above].weightBytesPerSecond }
        let (low, high) = (rates[above - 1], rates[above])
        let share = Double(rows - low.rows) / Double(high.rows - low.rows)
        return 1 / ((1 - share) / low.weightBytesPerSecond + share / high.weightBytesPerSecond)
    }

    /// The mean of two measurements for values that depend on memory, whose rate varies from second to second.
    package func averaged(with other: KernelProbe) -> KernelProbe {
        let one = (weightBytesPerSecond(rows: 1) + other.weightBytesPerSecond(rows: 1)) / 2
        return KernelProbe(
            threads: threads, readBytesPerSecond: (readBytesPerSecond + other.readBytesPerSecond) / 2,
            rates: [Rate(rows: 1, weightBytesPerSecond: one)] + rates.dropFirst(), bytesPerWeight: bytesPerWeight,
            joinSeconds: joinSeconds, digestBytesPerSecond: digestBytesPerSecond,
            touchSecondsPerByte: touchSecondsPerByte)
    }

    package func multiplyAddsPerSecond(rows: Int) -> Double {
        weightBytesPerSecond(rows: rows) * Double(rows) / bytesPerWeight
    }

    private static let columns = 4096
    private static let chunkBytes = ChunkGeometry.usualBytes
    private static let mostRows = 512
    /// What the processor limits varies less than what memory limits, and gets so much less time.
    private static let timesLess = 5

    /// - Parameters:
    ///   - rows: the numbers of rows to measure, besides one; more than 512 count as 512.
    ///   - memoryBytes: the memory for weights, at least 16 MiB and at most 256 MiB, or half of what a limit on
    ///     addresses leaves.
    ///   - time: for each of the two figures that memory limits.
    ///   - check: called between the passes, which take some hundredths of a second; what it throws ends the
    ///     measurement.
    /// - Throws: `.budget` if the system has no memory for it, `.usage` for float weights without OpenBLAS.
    package static func measure(
        instructionSet: InstructionSet, threads: Int, weights: WeightFormat = .int8,
        activations: ActivationPrecision = .int16, rows: [Int] = [], memoryBytes: Int = 256 << 20,
        time: Duration = .milliseconds(800), check: () throws(LeafError) -> Void = {}
    ) throws(LeafError) -> KernelProbe {
        let pool = try ComputePool(threadCount: threads, kernels: Kernels(instructionSet))
        defer { pool.stop() }
        let wanted = Set(rows.map { min(max(1, $0), mostRows) }).union([1]).sorted()
        let bench = try Bench(
            pool, weights.layout, activations, time: time, rows: wanted[wanted.count - 1],
            chunks: min(max(16 << 20, min(memoryBytes, (AddressLimit.room() ?? .max) / 2)), 256 << 20) / chunkBytes)
        try check()
        let read = try bench.secondsOfReading(check)
        var rates: [Rate] = []
        for count in wanted {
            // If the processor is the limit, a few chunks are enough.
            let chunks = count < 4 ? bench.chunks : min(4, bench.chunks)
            let seconds = try bench.seconds(rows: count, chunks: chunks, check)
            rates.append(Rate(rows: count, weightBytesPerSecond: Double(chunks * chunkBytes) / seconds))
        }
        return KernelProbe(
            threads: threads, readBytesPerSecond: Double(bench.chunks * chunkBytes) / read, rates: rates,
            bytesPerWeight: weights.bytesPerWeight, joinSeconds: try bench.secondsOfJoining(),
            digestBytesPerSecond: Double(chunkBytes) / bench.secondsOfDigest(),
            touchSecondsPerByte: bench.touchSeconds / Double(bench.chunks * chunkBytes))
    }

    /// The memory and threads of a measurement.
    private final class Bench {
        let chunks: Int
        /// Seconds of writing to all of the memory for the first time.
        let touchSeconds: Double
        /// The time to measure what memory limits, and what the processor limits.
        private let memoryTime: Duration
        private let processorTime: Duration
        private let pool: ComputePool
        private let product: LinearProduct
        private let layout: WeightLayout
        private let weights: PageMemory
        private let arena: Arena
        private let slab: UnsafeMutablePointer<UInt8>
        private let scales: UnsafeMutablePointer<Float>
        private let input: UnsafeMutablePointer<Float>
        private let quantized: UnsafeMutableRawPointer
        private let widened: UnsafeMutablePointer<Float>
        private let output: UnsafeMutablePointer<Float>
        private let chunkOutputs: Int

        init(
            _ pool: ComputePool, _ layout: WeightLayout,
            _ activations: ActivationPrecision, time: Duration, rows: Int, chunks: Int
        ) throws(LeafError) {
            (memoryTime, processorTime) = (time, time / timesLess)
            self.pool = pool
            self.layout = layout
            self.chunks = chunks
            product = try LinearProduct(pool.kernels, activations, layouts: [layout])
            let unit = layout.unitOutputs
            chunkOutputs = chunkBytes / layout.byteCount(outputs: unit, columns: columns) * unit
            let rowBytes = layout.isQuantized ? product.quantizedRowBytes(columns: columns) : 0
            let widenedFloats = layout == .float16 ? pool.threadCount * LinearProduct.widenedOutputs * columns : 0
            weights = try PageMemory(count: chunks * chunkBytes, for: "weights", .reserved)
            arena = try Arena(
                byteCount: rows * (rowBytes + 4 * (columns + chunkOutputs))
                    + 4 * (chunkOutputs + widenedFloats) + 4096)
            slab = weights.bytes.baseAddress!.bindMemory(to: UInt8.self, capacity: weights.bytes.count)
            let start = ContinuousClock.now
            // Any bytes, except those that make slow or infinite floats.
            for byte in stride(from: 0, to: chunks * chunkBytes, by: 64) { slab[byte] = UInt8(byte >> 6 & 63) }
            touchSeconds = (ContinuousClock.now - start) / .seconds(1)
            scales = arena.take(chunkOutputs, of: Float.self)
            input = arena.take(rows * columns, of: Float.self)
            for index in 0..<rows * columns { input[index] = Float(index % 17) - 8 }
            quantized = UnsafeMutableRawPointer(arena.take(rows * rowBytes, of: UInt8.self))
            if layout.isQuantized {
                for row in 0..<rows {
                    product.kernels.product.quantize_row(
                        activations.kernelType, input + row * columns, columns, columns, quantized + row * rowBytes)
                }
            }
            widened = arena.take(widenedFloats, of: Float.self)
            output = arena.take(rows * chunkOutputs, of: Float.self)
        }

        /// Seconds of one pass over the first chunks.
        func seconds(
            rows: Int, chunks: Int, _ check: () throws(LeafError) -> Void
        ) throws(LeafError) -> Double {
            try median(rows == 1 ? memoryTime : processorTime) { () throws(LeafError) in
                try check()
                try pool.run { [self] worker throws(LeafError) in
                    let unit = layout.unitOutputs
                    let units = pool.share(of: chunkOutputs / unit, for: worker)
                    for chunk in 0..<chunks {
                        multiply(chunk, units.lowerBound * unit..<units.upperBound * unit, rows, worker)
                    }
                }
            }
        }

        private func multiply(_ chunk: Int, _ part: Range<Int>, _ rows: Int, _ worker: Int) {
            let weights = LinearProduct.Weights(
                bytes: slab + chunk * chunkBytes + layout.byteCount(outputs: part.lowerBound, columns: columns),
                outputCount: part.count, layout: layout, scale: .folded, scales: scales + part.lowerBound)
            let input = LinearProduct.Input(
                rowCount: rows, columns: columns, quantized: quantized, floats: FloatRows(input, stride: columns))
            product.multiply(
                input, weights, into: FloatRows(output + part.lowerBound, stride: chunkOutputs),
                widened: widened + worker * LinearProduct.widenedOutputs * columns)
        }

        /// Seconds of one pass over all chunks that only adds them up.
        func secondsOfReading(_ check: () throws(LeafError) -> Void) throws(LeafError) -> Double {
            try median(memoryTime) { () throws(LeafError) in
                try check()
                try pool.run { [self] worker throws(LeafError) in
                    let part = pool.share(of: chunks * chunkBytes / MemoryReader.unitBytes, for: worker)
                    output[worker % chunkOutputs] = Float(
                        MemoryReader.sum(
                            UnsafeRawPointer(slab) + part.lowerBound * MemoryReader.unitBytes,
                            count: part.count * MemoryReader.unitBytes) & 1)
                }
            }
        }

        func secondsOfJoining() throws(LeafError) -> Double {
            let jobs = 64
            return try median(processorTime) { () throws(LeafError) in
                for _ in 0..<jobs {
                    try pool.run { [self] worker throws(LeafError) in output[worker % chunkOutputs] = 0 }
                }
            } / Double(jobs)
        }

        func secondsOfDigest() -> Double {
            var digests: UInt64 = 0
            let seconds = median(processorTime) {
                digests ^= ChunkDigest.of(UnsafeRawBufferPointer(start: slab, count: chunkBytes))
            }
            output[0] = Float(digests & 1)
            return seconds
        }

        /// The median of several measurements, after one that is not counted. There are fewer if one takes long.
        private func median<Failure: Error>(
            _ time: Duration, _ body: () throws(Failure) -> Void
        ) throws(Failure) -> Double {
            try body()
            let begin = ContinuousClock.now
            var times: [Double] = []
            while times.isEmpty || begin.duration(to: .now) < time {
                let start = ContinuousClock.now
                try body()
                times.append((ContinuousClock.now - start) / .seconds(1))
            }
            return max(times.sorted()[times.count / 2], 1e-9)
        }
    }
}

/// The simplest loop that reads memory.
enum MemoryReader {
    static let unitBytes = 256

    /// - Parameter count: a multiple of `unitBytes`.
    static func sum(_ start: UnsafeRawPointer, count: Int) -> UInt64 {
        var a = SIMD8<UInt64>.zero
        var b = a
        var c = a
        var d = a
        for offset in stride(from: 0, to: count, by: unitBytes) {
            a &+= start.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            b &+= start.loadUnaligned(fromByteOffset: offset + 64, as: SIMD8<UInt64>.self)
            c &+= start.loadUnaligned(fromByteOffset: offset + 128, as: SIMD8<UInt64>.self)
            d &+= start.loadUnaligned(fromByteOffset: offset + 192, as: SIMD8<UInt64>.self)
        }
        return (a &+ b &+ c &+ d).wrappedSum()
    }
}
