import CLeafKernels
import GoldenSupport
import Testing

/// A matrix product with random weights and activations, and what it must give.
private struct Product {
    let type: leaf_activation
    let columns: Int, paddedColumns: Int, tiles: Int, rows: Int
    /// `[outputs][paddedColumns]`, zero from `columns` on.
    let weights: [Int8]
    let tiled: Buffer<Int8>
    let rowScales: Buffer<Float>
    /// `[rows][columns]`
    let x: [Float]

    var outputs: Int { tiles * 16 }
    var groupColumns: Int { type == LEAF_ACTIVATION_INT16 ? 128 : 64 }
    var rowBytes: Int { leaf_activation_row_bytes(type, paddedColumns) }

    init(
        _ type: leaf_activation, columns: Int, tiles: Int, rows: Int, weights weight: (Int, Int) -> Int8,
        rowScales scale: (Int) -> Float, x: [Float]
    ) {
        self.type = type
        self.columns = columns
        self.tiles = tiles
        self.rows = rows
        self.x = x
        paddedColumns = alignUp(columns, 64)
        var weights = [Int8](repeating: 0, count: tiles * 16 * paddedColumns)
        for output in 0..<tiles * 16 {
            for column in 0..<columns { weights[output * paddedColumns + column] = weight(output, column) }
        }
        self.weights = weights
        tiled = Buffer(weights.count, of: 0)
        for output in 0..<tiles * 16 {
            for column in 0..<paddedColumns {
                let index = output / 16 * 16 * paddedColumns + column / 4 * 64 + output % 16 * 4 + column % 4
                tiled[index] = weights[output * paddedColumns + column]
            }
        }
        rowScales = Buffer((0..<tiles * 16).map(scale))
    }

    static func random(_ type: leaf_activation, columns: Int, tiles: Int, rows: Int, seed: UInt64) -> Product {
        var generator = SeededGenerator(seed: seed)
        return Product(
            type, columns: columns, tiles: tiles, rows: rows,
            weights: { _, _ in Int8.random(in: -127...127, using: &generator) },
            rowScales: { _ in Float.random(in: 1e-4...1e-2, using: &generator) },
            x: generator.floats(rows * columns))
    }

    func quantize(_ product: leaf_product) -> Buffer<UInt8> {
        let quantized = Buffer<UInt8>(rows * rowBytes, of: 0xAA)
        x.withUnsafeBufferPointer { x in
            for row in 0..<rows {
                product.quantize_row(
                    type, x.baseAddress! + row * columns, columns, paddedColumns, quantized.pointer + row * rowBytes)
            }
        }
        return quantized
    }

    /// All tiles and rows in one call.
    func run(_ product: leaf_product) -> Buffer<Float> {
        let y = Buffer<Float>(rows * outputs, of: .nan)
        let quantized = quantize(product)
        product.linear(
            type, tiled.pointer, tiles, paddedColumns, rowScales.pointer, quantized.pointer, rows, y.pointer, outputs)
        return y
    }

    /// The definition, in integers and fused multiplications: equal to the kernels bit by bit.
    func defined() -> [UInt32] {
        let largest: Float = type == LEAF_ACTIVATION_INT16 ? 32639 : 127
        let groups = (paddedColumns + groupColumns - 1) / groupColumns
        var result: [UInt32] = []
        for row in 0..<rows {
            var q = [Int32](repeating: 0, count: paddedColumns)
            var scales = [Float](repeating: 0, count: groups)
            for group in 0..<groups {
                let range = min(group * groupColumns, columns)..<min((group + 1) * groupColumns, columns)
                let scale = (range.map { abs(x[row * columns + $0]) }.max() ?? 0) / largest
                if scale < Float.leastNormalMagnitude { continue }
                scales[group] = scale
                for column in range {
                    q[column] = Int32((x[row * columns + column] / scale).rounded(.toNearestOrEven))
                }
            }
            weights.withUnsafeBufferPointer { weights in
                for output in 0..<outputs {
                    var sum: Float = 0
                    for group in 0..<groups {
                        var exact: Int32 = 0
                        for column in group * groupColumns..<min((group + 1) * groupColumns, paddedColumns) {
                            exact &+= Int32(weights[output * paddedColumns + column]) &* q[column]
                        }
                        sum.addProduct(Float(exact), scales[group])
                    }
                    result.append((sum * rowScales[output]).bitPattern)
                }
            }
        }
        return result
    }
}

private let bothTypes = [LEAF_ACTIVATION_INT16, LEAF_ACTIVATION_INT8]

@Suite("int8 linear") struct LinearTests {
    @Test(arguments: InstructionSet.here, oddLengths)
    func productEqualsItsDefinition(set: InstructionSet, columns: Int) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for type in bothTypes {
            let most = 40_000 / columns
            let rows = Int.random(in: 1...min(40, max(2, most)), using: &generator)
            let tiles = Int.random(in: 1...min(20, max(2, most / rows)), using: &generator)
            let product = Product.random(type, columns: columns, tiles: tiles, rows: rows, seed: generator.next())
            let same = product.run(set.product).bits == product.defined()
            #expect(same, "\(type) \(columns) columns, \(tiles) tiles, \(rows) rows, seed \(seed)")
        }
    }

    @Test(arguments: InstructionSet.here)
    func rowsAndTilesDoNotDependOnTheirNeighbours(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        let product = set.product
        for type in bothTypes {
            for (columns, tiles) in [(700, 3), (1344, 2)] {
                let all = Product.random(type, columns: columns, tiles: tiles, rows: 40, seed: seed)
                let together = all.run(product).bits
                let quantized = all.quantize(product)
                for rows in 1...40 {
                    let first = 40 - rows
                    let y = Buffer<Float>(rows * all.outputs, of: .nan)
                    for tile in 0..<tiles {
                        product.linear(
                            type, all.tiled.pointer + tile * 16 * all.paddedColumns, 1, all.paddedColumns,
                            all.rowScales.pointer + tile * 16, quantized.pointer + first * all.rowBytes, rows,
                            y.pointer + tile * 16, all.outputs)
                    }
                    #expect(y.bits == Array(together[(first * all.outputs)...]), "\(type) \(rows) rows, seed \(seed)")
                }
            }
        }
    }

    @Test(arguments: InstructionSet.here)
    func manyRowsEqualScalar(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        for type in bothTypes {
            for rows in [61, 128] {
                let product = Product.random(type, columns: 1088, tiles: 5, rows: rows, seed: seed)
                let same = product.run(set.product).bits == product.run(InstructionSet.scalar.product).bits
                #expect(same, "\(type) \(rows) rows, seed \(seed)")
            }
        }
    }

    /// 16-bit activations lose nothing that matters: under 2^-15 of a group's largest number a product.
    @Test(arguments: bothTypes)
    func productIsNearTheExactOne(type: leaf_activation) {
        let seed = UInt64.random(in: 0...UInt64.max)
        let product = Product.random(type, columns: 1000, tiles: 2, rows: 5, seed: seed)
        let y = product.run(leaf_kernels_product(leaf_kernels_best(), LEAF_LAYOUT_INT8).pointee)
        let step = type == LEAF_ACTIVATION_INT16 ? 0.5 / 32639 : 0.5 / 127.0
        for row in 0..<product.rows {
            let x = product.x[row * 1000..<(row + 1) * 1000].map(Double.init)
            let bound = x.map(abs).max()! * step
            for output in 0..<product.outputs {
                let weights = (0..<1000).map { Double(product.weights[output * product.paddedColumns + $0]) }
                let scale = Double(product.rowScales[output])
                let exact = zip(x, weights).reduce(0) { $0 + $1.0 * $1.1 } * scale
                let allowed = (weights.reduce(0) { $0 + abs($1) } * bound + 1e-3) * scale
                #expect(abs(Double(y[row * product.outputs + output]) - exact) <= allowed, "seed \(seed)")
            }
        }
    }

    @Test(arguments: InstructionSet.here, bothTypes)
    func extremesAreExact(set: InstructionSet, type: leaf_activation) {
        for signs in [(1, 1), (1, -1), (-1, 1), (-1, -1)] {
            let product = Product(
                type, columns: 1024, tiles: 2, rows: 14, weights: { _, _ in Int8(127 * signs.0) },
                rowScales: { _ in 1 },
                x: [Float](repeating: Float(signs.1) * 3, count: 14 * 1024))
            #expect(product.run(set.product).bits == product.defined())
        }
        let alternating = Product(
            type, columns: 300, tiles: 1, rows: 20, weights: { o, c in (o + c) % 2 == 0 ? 127 : -127 },
            rowScales: { _ in 0.5 },
            x: (0..<6000).map { $0 % 2 == 0 ? 32639 : -32639 })
        #expect(alternating.run(set.product).bits == alternating.defined())
    }

    @Test(arguments: InstructionSet.here, bothTypes)
    func groupsTooSmallForAScaleAreZero(set: InstructionSet, type: leaf_activation) {
        let smallest = Float.leastNormalMagnitude
        for tiny in [0, -0.0, Float.leastNonzeroMagnitude, smallest, 126 * smallest] {
            let product = Product(
                type, columns: 64, tiles: 1, rows: 2, weights: { _, _ in 127 }, rowScales: { _ in 1 },
                x: [Float](repeating: tiny, count: 128))
            #expect(product.run(set.product).array.allSatisfy { $0 == 0 })
        }
    }

    @Test(arguments: InstructionSet.here, bothTypes)
    func damageShowsInItsRowAlone(set: InstructionSet, type: leaf_activation) {
        for damage in [Float.nan, .infinity, -.infinity] {
            var x = [Float](repeating: 1, count: 3 * 200)
            x[200 + 150] = damage
            let product = Product(
                type, columns: 200, tiles: 1, rows: 3, weights: { o, c in Int8((o + c) % 100) }, rowScales: { _ in 1 },
                x: x)
            let y = product.run(set.product).array
            #expect(y[16..<32].allSatisfy { $0.isNaN })
            #expect((y[..<16] + y[32...]).allSatisfy { $0.isFinite })
        }
    }
}
