import CPMAntShape
import LeafConversion
import LeafFormat
import LeafSystem

/// The numbers of the matrices: random ones with a trained model's statistics, and those of a small model among them.
///
/// It is immutable, and a chunk depends only on its matrix and rows, so any thread can make any chunk.
struct MatrixSource: Sendable {
    /// The deviation of a trained model's weights before `1/sqrt(fan-in)`, about 1. Embeddings are larger, so that the
    /// logits of the tied table are spread like a trained model's.
    static let weightDeviation: Float = 1
    static let embeddingDeviation: Float = 3
    /// How much outputs differ, as a part of the deviation.
    static let rowSpread: Float = 0.15

    private let matrices: [FileShape.Matrix]
    private let numbers: [UInt64]
    private let seed: UInt64
    private let normal: NormalDistribution
    private let enlargement: Enlargement?
    private let codec = TileCodec.best
    /// Tables of bytes, by columns of a matrix.
    private let bytes: [Int: [Int8]]
    /// Float16 numbers of the layers.
    private let halves: [UInt16]
    /// Float16 numbers of the token table.
    private let tableHalves: [UInt16]
    private let tableFloats: [Float]

    init(
        _ shape: ModelShape, weights: WeightFormat, seed: UInt64, normal: NormalDistribution, enlargement: Enlargement?
    ) {
        matrices = shape.matrices
        numbers = matrices.map { RandomStream.number(of: $0.name) }
        self.seed = seed
        self.normal = normal
        self.enlargement = enlargement
        var bytes: [Int: [Int8]] = [:]
        if weights.isQuantized {
            for columns in Set(matrices.map(\.columns)) { bytes[columns] = normal.quantized(columns: columns) }
        }
        self.bytes = bytes
        tableFloats = weights.isQuantized ? [] : normal.quantiles.map { Self.embeddingDeviation * $0 }
        halves = weights == .float16 ? normal.quantiles.map { Float16($0).bitPattern } : []
        tableHalves = weights == .float16 ? tableFloats.map { Float16($0).bitPattern } : []
    }

    /// Bytes of a slot's scratch: a tile of int8 numbers.
    var scratchBytes: Int { matrices.map { TileCodec.tileBytes(columns: $0.columns) }.max() ?? 0 }

    /// Makes the stored outputs of a job, and their scales where the layout has them.
    func make(_ job: ChunkJob, into slot: ChunkSlot) throws(LeafError) {
        let matrix = matrices[job.matrix]
        let isTable = matrix.name == TensorName.tokenTable
        switch matrix.layout {
        case .int8, .q4, .q3: try makeTiles(job, matrix, slot)
        case .float16:
            let rows = slot.bytes.bytes.bindMemory(to: UInt16.self)
            (isTable ? tableHalves : halves).withUnsafeBufferPointer { makeRows(job, matrix, rows, $0.baseAddress!) }
        case .float32:
            let rows = slot.bytes.bytes.bindMemory(to: Float.self)
            (isTable ? tableFloats : normal.quantiles).withUnsafeBufferPointer {
                makeRows(job, matrix, rows, $0.baseAddress!)
            }
        }
    }

    private func makeRows<Number>(
        _ job: ChunkJob, _ matrix: FileShape.Matrix, _ rows: UnsafeMutableBufferPointer<Number>,
        _ table: UnsafePointer<Number>
    ) {
        for (index, row) in job.rows.enumerated() {
            var random = RandomStream(seed: seed, tensor: numbers[job.matrix], index: row)
            let target = rows[index * matrix.columns..<(index + 1) * matrix.columns]
            random.fill(UnsafeMutableBufferPointer(rebasing: target), from: table)
        }
    }

    private func makeTiles(
        _ job: ChunkJob, _ matrix: FileShape.Matrix, _ slot: ChunkSlot
    ) throws(LeafError) {
        let tileBytes = matrix.layout.byteCount(outputs: WeightTile.outputs, columns: matrix.columns)
        let tile = UnsafeMutableBufferPointer(
            rebasing: slot.scratch.bytes.assumingMemoryBound(to: Int8.self)[
                ..<TileCodec.tileBytes(columns: matrix.columns)])
        let scales = slot.rowScales
        bytes[matrix.columns]!.withUnsafeBufferPointer { table in
            for first in stride(from: job.rows.lowerBound, to: job.rows.upperBound, by: 16) {
                let row = first - job.rows.lowerBound
                makeTile(
                    first / 16, of: job.matrix, table.baseAddress!, tile,
                    UnsafeMutableBufferPointer(rebasing: scales[row..<row + 16]))
                codec.store(
                    tile.baseAddress!, as: matrix.layout, columns: matrix.columns,
                    to: slot.bytes.bytes.baseAddress! + row / 16 * tileBytes)
            }
        }
        try enlargement?.put(job, matrix.layout, in: slot)
    }

    /// Makes one tile, `[paddedColumns / 4][16][4]`. The largest number of an output is 127, as after quantization.
    private func makeTile(
        _ number: Int, of index: Int, _ table: UnsafePointer<Int8>, _ tile: UnsafeMutableBufferPointer<Int8>,
        _ scales: UnsafeMutableBufferPointer<Float>
    ) {
        let matrix = matrices[index]
        let deviation = matrix.name == TensorName.tokenTable ? Self.embeddingDeviation : Self.weightDeviation
        var random = RandomStream(seed: seed, tensor: numbers[index], index: number)
        // On the stack: a thread that works in slots takes nothing else.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 16) { spread in
            normal.quantiles.withUnsafeBufferPointer { random.fill(spread, from: $0.baseAddress!) }
            for row in 0..<16 {
                let isPadding = number * 16 + row >= matrix.outputs
                scales[row] =
                    isPadding ? 0 : scale(deviation: deviation, spread: spread[row], columns: matrix.columns)
            }
        }
        random.fill(tile, from: table)
        for row in 0..<16 {
            let isPadding = number * 16 + row >= matrix.outputs
            let peak = random.next()
            let column = Int(truncatingIfNeeded: peak >> 8) & Int.max
            tile[WeightTile.offset(output: row, column: column % matrix.columns)] = peak & 1 == 0 ? 127 : -127
            for column in (isPadding ? 0 : matrix.columns)..<tile.count / 16 {
                tile[WeightTile.offset(output: row, column: column)] = 0
            }
        }
    }

    /// The scale of an int8 output whose numbers have this deviation before `1/sqrt(columns)`; the scale contains that
    /// factor.
    func scale(deviation: Float, spread: Float, columns: Int) -> Float {
        deviation * (1 + Self.rowSpread * spread) * Float(normal.largest(of: columns))
            / (127 * Float(columns).squareRoot())
    }

}
