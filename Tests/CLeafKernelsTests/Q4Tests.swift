import CLeafKernels
import GoldenSupport
import Testing

/// Tiles of q4 weights with random selectors and codes, and the int8 tiles that they stand for.
private struct Q4Tiles {
    let paddedColumns: Int, count: Int
    let stored: Buffer<UInt8>
    let decoded: Buffer<Int8>

    var storedTileBytes: Int { paddedColumns / 64 * Int(LEAF_Q4_SECTION) }

    init(paddedColumns: Int, count: Int, generator: inout SeededGenerator) {
        self.paddedColumns = paddedColumns
        self.count = count
        let tileBytes = paddedColumns / 64 * Int(LEAF_Q4_SECTION)
        stored = Buffer((0..<count * tileBytes).map { _ in UInt8.random(in: 0...255, using: &generator) })
        decoded = Buffer(count * 16 * paddedColumns, of: 99)
        for tile in 0..<count {
            leaf_q4_decode(
                stored.pointer + tile * tileBytes, paddedColumns, decoded.pointer + tile * 16 * paddedColumns)
        }
    }
}

/// `[256][16]`
private let grids = withUnsafeBytes(of: leaf_q4_grids) { $0.map { Int8(bitPattern: $0) } }

@Suite("q4 linear") struct Q4Tests {
    /// Every weight by its own row and column: the selector of its block of 4 rows by 8 columns, its code, the grid.
    @Test func everyWeightIsANumberOfItsBlocksGrid() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let tiles = Q4Tiles(paddedColumns: 192, count: 2, generator: &generator)
        for tile in 0..<tiles.count {
            for row in 0..<16 {
                for column in 0..<192 {
                    let section = tile * tiles.storedTileBytes + column / 64 * Int(LEAF_Q4_SECTION)
                    let step = column % 64 / 8
                    let selector = tiles.stored[section + 4 * step + row / 4]
                    let codes = tiles.stored[section + 32 + 64 * step + 4 * row + column % 4]
                    let code = column % 8 < 4 ? codes & 15 : codes >> 4
                    let place = tile * 16 * 192 + column / 4 * 64 + row * 4 + column % 4
                    let same = tiles.decoded[place] == grids[16 * Int(selector) + Int(code)]
                    #expect(same, "row \(row), column \(column), seed \(seed)")
                }
            }
        }
    }

    /// Numbers between and behind the rows of y stay as they are.
    @Test(arguments: InstructionSet.here)
    func productEqualsThatOfTheDecodedTiles(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let few = Array(1...40)
        for (columns, count, rows) in [(64, 1, few), (320, 3, few), (1088, 2, few), (2112, 1, few), (1344, 2, [512])] {
            let tiles = Q4Tiles(paddedColumns: columns, count: count, generator: &generator)
            let product = Q4Product(tiles, rows: rows.last!, generator: &generator)
            for type in [LEAF_ACTIVATION_INT16, LEAF_ACTIVATION_INT8] {
                let quantized = product.quantize(type, by: set.product(.q4))
                for rows in rows {
                    let q4 = product.run(type, set.product(.q4), tiles.stored.pointer, quantized, rows)
                    let int8 = product.run(type, set.product(.int8), tiles.decoded.pointer, quantized, rows)
                    #expect(q4.bits == int8.bits, "\(type) \(columns) columns, \(rows) rows, seed \(seed)")
                }
            }
        }
    }

    @Test(arguments: InstructionSet.fast)
    func productEqualsScalar(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for (columns, count, rows) in [(448, 5, 7), (2176, 2, 33), (4096, 1, 1)] {
            let tiles = Q4Tiles(paddedColumns: columns, count: count, generator: &generator)
            let product = Q4Product(tiles, rows: rows, generator: &generator)
            for type in [LEAF_ACTIVATION_INT16, LEAF_ACTIVATION_INT8] {
                let results = [set, .scalar].map { set in
                    let quantized = product.quantize(type, by: set.product(.int8))
                    return product.run(type, set.product(.q4), tiles.stored.pointer, quantized, rows).bits
                }
                #expect(results[0] == results[1], "\(type) \(columns) columns, \(rows) rows, seed \(seed)")
            }
        }
    }

    @Test(arguments: InstructionSet.here)
    func embeddingRowEqualsThatOfTheDecodedTile(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for columns in oddLengths {
            let tiles = Q4Tiles(paddedColumns: alignUp(columns, 64), count: 1, generator: &generator)
            let addend = Buffer(generator.floats(columns))
            for row in 0..<16 {
                let q4 = Buffer<Float>(columns + 1, of: 7)
                let int8 = Buffer<Float>(columns + 1, of: 7)
                set.product(.q4).embed_row(tiles.stored.pointer, row, 0.25, addend.pointer, columns, q4.pointer)
                set.product(.int8).embed_row(tiles.decoded.pointer, row, 0.25, addend.pointer, columns, int8.pointer)
                #expect(q4.bits == int8.bits && q4[columns] == 7, "\(columns) columns, row \(row), seed \(seed)")
            }
        }
    }
}

/// Random activations and row scales beside some tiles.
private struct Q4Product {
    let columns: Int, rows: Int, tiles: Int
    let x: Buffer<Float>, rowScales: Buffer<Float>

    init(_ tiles: Q4Tiles, rows: Int, generator: inout SeededGenerator) {
        columns = tiles.paddedColumns
        self.rows = rows
        self.tiles = tiles.count
        x = Buffer(generator.floats(rows * columns))
        rowScales = Buffer((0..<tiles.count * 16).map { _ in Float.random(in: 1e-4...1e-2, using: &generator) })
    }

    func quantize(_ type: leaf_activation, by product: leaf_product) -> Buffer<UInt8> {
        let rowBytes = leaf_activation_row_bytes(type, columns)
        let quantized = Buffer<UInt8>(rows * rowBytes, of: 0xAA)
        for row in 0..<rows {
            product.quantize_row(type, x.pointer + row * columns, columns, columns, quantized.pointer + row * rowBytes)
        }
        return quantized
    }

    func run(
        _ type: leaf_activation, _ product: leaf_product, _ weights: UnsafeRawPointer, _ quantized: Buffer<UInt8>,
        _ rows: Int
    ) -> Buffer<Float> {
        let stride = tiles * 16 + 3
        let y = Buffer<Float>(rows * stride, of: .nan)
        product.linear(
            type, weights, tiles, columns, rowScales.pointer, quantized.pointer, rows, y.pointer, stride)
        return y
    }
}
