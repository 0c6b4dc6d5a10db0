import CLeafKernels
import LeafFormat
import LeafSystem

/// The numbers of a `ModelTuning`, laid out for the kernels.
final class ResidentTuning {
    /// The factors of one adapter beside one matrix.
    struct Factors {
        let rank: Int
        let scale: Float
        /// `[rank, aStride]`
        let a: UnsafePointer<Float>
        let aStride: Int
        /// `[rank, bStride]`, the transpose of the stored factor, so that the outputs of a rank are lanes.
        let b: UnsafePointer<Float>
        let bStride: Int
    }

    /// Factors by adapter and matrix.
    private let factors: [[Factors?]]
    /// For each matrix, whether any adapter is beside it.
    private let isAdapted: [Bool]
    /// The adapter of each row on the sweep; -1 for none.
    private let adapterOfRow: UnsafeMutablePointer<Int32>
    /// `[3, R, rank]`: products of the rows with A, for each of the matrices with the same input.
    private let products: UnsafeMutablePointer<Float>
    private let productStride: Int
    private let rows: Int
    /// `[softPromptRows, D]`
    private let softPrompts: UnsafePointer<Float>
    private let dModel: Int
    let softPromptCount: Int
    private let arena: Arena

    /// The most matrices with the same input: queries, keys and values.
    private static let matricesAtOnce = 3

    /// Bytes that `init` allocates, including those that it frees again.
    static func byteCount(_ tuning: ModelTuning, _ file: LeafFile, _ facts: ModelFacts, rows: Int) -> Int {
        guard !tuning.adapters.isEmpty || !tuning.softPrompts.isEmpty else { return 0 }
        return arenaBytes(tuning, file, facts, rows: rows) + loadingBytes(tuning, file, facts)
    }

    /// Bytes while the largest part is read: as stored (at most 8 per number), as numbers, and for checking them.
    private static func loadingBytes(_ tuning: ModelTuning, _ file: LeafFile, _ facts: ModelFacts) -> Int {
        let factors = tuning.adapters.flatMap(\.factors).map {
            $0.rank * (file.matrices[$0.matrix].outputs + file.matrices[$0.matrix].columns)
        }
        let rows = tuning.softPrompts.map { $0.count * facts.dModel }
        return (factors + rows).reduce(0, max) * 12 + (1 << 20)
    }

    private static func arenaBytes(_ tuning: ModelTuning, _ file: LeafFile, _ facts: ModelFacts, rows: Int) -> Int {
        var bytes = Arena.bytes(
            tuning.softPrompts.reduce(0) { $0 + $1.count } * facts.dModel, of: Float.self)
        for factors in tuning.adapters.flatMap(\.factors) {
            let (aStride, bStride) = strides(file.matrices[factors.matrix])
            bytes +=
                Arena.bytes(factors.rank * aStride, of: Float.self)
                + Arena.bytes(factors.rank * bStride, of: Float.self)
        }
        guard !tuning.adapters.isEmpty else { return bytes }
        return bytes + Arena.bytes(rows, of: Int32.self)
            + Arena.bytes(matricesAtOnce * rows * productStride(tuning), of: Float.self)
    }

    private static func strides(_ matrix: Matrix) -> (a: Int, b: Int) {
        (matrix.columns.roundedUp(to: 16), matrix.outputs.roundedUp(to: 16))
    }

    /// The distance between products, for the largest rank.
    private static func productStride(_ tuning: ModelTuning) -> Int {
        (tuning.adapters.flatMap(\.factors).map(\.rank).max() ?? 0).roundedUp(to: 16)
    }

    init(_ tuning: ModelTuning, _ file: LeafFile, _ facts: ModelFacts, rows: Int) throws(LeafError) {
        arena = try Arena(byteCount: Self.arenaBytes(tuning, file, facts, rows: rows))
        dModel = facts.dModel
        softPromptCount = tuning.softPrompts.reduce(0) { $0 + $1.count }
        let softPrompts = arena.take(softPromptCount * dModel, of: Float.self)
        var next = softPrompts
        for prompt in tuning.softPrompts {
            let numbers = try prompt.load()
            precondition(numbers.count == prompt.count * dModel)
            next.update(from: numbers, count: numbers.count)
            next += numbers.count
        }
        self.softPrompts = UnsafePointer(softPrompts)

        var all: [[Factors?]] = []
        var isAdapted = [Bool](repeating: false, count: file.matrices.count)
        for adapter in tuning.adapters {
            var table = [Factors?](repeating: nil, count: file.matrices.count)
            for factors in adapter.factors {
                table[factors.matrix] = try Self.load(
                    factors, beside: file.matrices[factors.matrix], into: arena)
                isAdapted[factors.matrix] = true
            }
            all.append(table)
        }
        factors = all
        self.isAdapted = isAdapted
        self.rows = rows
        productStride = Self.productStride(tuning)
        let rowCount = tuning.adapters.isEmpty ? 0 : rows
        adapterOfRow = arena.take(rowCount, of: Int32.self)
        products = arena.take(Self.matricesAtOnce * rowCount * productStride, of: Float.self)
    }

    private static func load(
        _ factors: LowRankAdapter.Factors, beside matrix: Matrix, into arena: Arena
    ) throws(LeafError) -> Factors {
        let (aStride, bStride) = strides(matrix)
        let rank = factors.rank
        let a = arena.take(rank * aStride, of: Float.self)
        let b = arena.take(rank * bStride, of: Float.self)
        let numbers = try factors.load()
        precondition(numbers.a.count == rank * matrix.columns && numbers.b.count == rank * matrix.outputs)
        for k in 0..<rank {
            for column in 0..<matrix.columns { a[k * aStride + column] = numbers.a[k * matrix.columns + column] }
            for output in 0..<matrix.outputs { b[k * bStride + output] = numbers.b[output * rank + k] }
        }
        return Factors(
            rank: rank, scale: factors.scale, a: UnsafePointer(a), aStride: aStride, b: UnsafePointer(b),
            bStride: bStride)
    }

    /// One row of the soft prompts, numbered over all of them.
    func softPrompt(_ row: Int) -> UnsafePointer<Float> { softPrompts + row * dModel }

    /// Notes the adapters of the rows of a sweep.
    func begin(_ batch: RowBatch) {
        guard !factors.isEmpty else { return }
        for (number, row) in batch.rows.enumerated() { adapterOfRow[number] = row.adapter.map { Int32($0) } ?? -1 }
    }

    /// - Throws: `.usage` for an adapter that is not loaded.
    func check(_ row: RowBatch.Row) throws(LeafError) {
        guard let adapter = row.adapter, !factors.indices.contains(adapter) else { return }
        throw LeafError(.usage, "a row wants adapter \(adapter), the model was opened with \(factors.count)")
    }

    /// Whether any adapter is beside these matrices.
    func adapts(_ matrices: Range<Int>) -> Bool { !factors.isEmpty && isAdapted[matrices].contains(true) }

    /// The adapter of a row beside a matrix, if it has one there, and the row's product with A.
    ///
    /// - Parameter first: the first of the matrices with the same input.
    private func factors(row: Int, matrix: Int, first: Int) -> (Factors, UnsafeMutablePointer<Float>)? {
        let adapter = Int(adapterOfRow[row])
        guard adapter >= 0, let factors = factors[adapter][matrix] else { return nil }
        return (factors, products + ((matrix - first) * rows + row) * productStride)
    }

    /// `t = scale * (x A^T)` for each matrix, for one input row.
    func multiplyDown(
        _ x: UnsafePointer<Float>, row: Int, matrices: Range<Int>, columns: Int, _ kernels: leaf_float_kernels
    ) {
        for matrix in matrices where isAdapted[matrix] {
            guard let (factors, product) = factors(row: row, matrix: matrix, first: matrices.lowerBound) else {
                continue
            }
            kernels.low_rank_down(x, factors.a, factors.aStride, factors.rank, columns, factors.scale, product)
        }
    }

    /// `y += t B^T` for some outputs of one row of a matrix's result.
    func addUp(
        to y: UnsafeMutablePointer<Float>, row: Int, matrix: Int, first: Int, outputs: Range<Int>,
        _ kernels: leaf_float_kernels
    ) {
        guard let (factors, product) = factors(row: row, matrix: matrix, first: first) else { return }
        kernels.low_rank_up(
            product, factors.b + outputs.lowerBound, factors.bStride, factors.rank, outputs.count, y)
    }
}
