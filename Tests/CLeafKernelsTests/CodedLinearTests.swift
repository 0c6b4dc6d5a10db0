import CLeafKernels
import GoldenSupport
import Testing

/// Tiles of random selectors and codes, and the int8 tiles that they stand for.
private struct CodedTiles {
    let paddedColumns: Int, count: Int
    let stored: Buffer<UInt8>
    let decoded: Buffer<Int8>

    init(_ layout: Layout, paddedColumns: Int, count: Int, generator: inout SeededGenerator) {
        self.paddedColumns = paddedColumns
        self.count = count
        let tileBytes = paddedColumns / 64 * layout.sectionBytes
        stored = Buffer((0..<count * tileBytes).map { _ in UInt8.random(in: 0...255, using: &generator) })
        decoded = Buffer(count * 16 * paddedColumns, of: 99)
        for tile in 0..<count {
            leaf_decode(
                layout.kernel, stored.pointer + tile * tileBytes, paddedColumns,
                decoded.pointer + tile * 16 * paddedColumns)
        }
    }
}

/// The code of a weight of one section, by the words of the format.
private func code(_ section: UnsafePointer<UInt8>, _ layout: Layout, row: Int, column: Int) -> Int {
    let (step, place) = (column / 8, 4 * row + column % 4)
    let isHigh = column % 8 >= 4
    func byte(_ number: Int) -> UInt8 { section[32 + 64 * number + place] }
    if layout == .q4 { return Int(isHigh ? byte(step) >> 4 : byte(step) & 15) }
    let first = step / 4 * 3
    if step % 4 < 3 { return Int(isHigh ? byte(first + step % 4) >> 4 & 7 : byte(first + step % 4) & 7) }
    return (0..<3).reduce(0) { $0 | Int(byte(first + $1) >> (isHigh ? 7 : 3) & 1) << $1 }
}

@Suite("Linear with coded weights") struct CodedLinearTests {
    /// Every weight by its own row and column: the selector of its block of 4 rows by 8 columns, its code, the grid.
    @Test(arguments: Layout.coded) func everyWeightIsANumberOfItsBlocksGrid(layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let tiles = CodedTiles(layout, paddedColumns: 192, count: 2, generator: &generator)
        for tile in 0..<tiles.count {
            for row in 0..<16 {
                for column in 0..<192 {
                    let section = tiles.stored.pointer + (tile * 3 + column / 64) * layout.sectionBytes
                    let grid = layout.grids[Int(section[4 * (column % 64 / 8) + row / 4])]
                    let place = tile * 16 * 192 + column / 4 * 64 + row * 4 + column % 4
                    let same =
                        Int(tiles.decoded[place]) == grid[code(section, layout, row: row, column: column % 64)]
                    #expect(same, "row \(row), column \(column), seed \(seed)")
                }
            }
        }
    }

    /// Numbers between and behind the rows of y stay as they are.
    @Test(arguments: InstructionSet.here, Layout.coded)
    func productEqualsThatOfTheDecodedTiles(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let few = Array(1...40)
        for (columns, count, rows) in [(64, 1, few), (320, 3, few), (1088, 2, few), (2112, 1, few), (1344, 2, [512])] {
            let tiles = CodedTiles(layout, paddedColumns: columns, count: count, generator: &generator)
            let product = CodedProduct(tiles, rows: rows.last!, generator: &generator)
            for type in [LEAF_ACTIVATION_INT16, LEAF_ACTIVATION_INT8] {
                let quantized = product.quantize(type, by: set.product(layout))
                for rows in rows {
                    let coded = product.run(type, set.product(layout), tiles.stored.pointer, quantized, rows)
                    let int8 = product.run(type, set.product(.int8), tiles.decoded.pointer, quantized, rows)
                    #expect(coded.bits == int8.bits, "\(type) \(columns) columns, \(rows) rows, seed \(seed)")
                }
            }
        }
    }

    @Test(arguments: InstructionSet.fast, Layout.coded)
    func productEqualsScalar(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for (columns, count, rows) in [(448, 5, 7), (2176, 2, 33), (4096, 1, 1)] {
            let tiles = CodedTiles(layout, paddedColumns: columns, count: count, generator: &generator)
            let product = CodedProduct(tiles, rows: rows, generator: &generator)
            for type in [LEAF_ACTIVATION_INT16, LEAF_ACTIVATION_INT8] {
                let results = [set, .scalar].map { set in
                    let quantized = product.quantize(type, by: set.product(.int8))
                    return product.run(type, set.product(layout), tiles.stored.pointer, quantized, rows).bits
                }
                #expect(results[0] == results[1], "\(type) \(columns) columns, \(rows) rows, seed \(seed)")
            }
        }
    }

    @Test(arguments: InstructionSet.here, Layout.coded)
    func embeddingRowEqualsThatOfTheDecodedTile(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for columns in oddLengths {
            let tiles = CodedTiles(layout, paddedColumns: alignUp(columns, 64), count: 1, generator: &generator)
            let addend = Buffer(generator.floats(columns))
            for row in 0..<16 {
                let coded = Buffer<Float>(columns + 1, of: 7)
                let int8 = Buffer<Float>(columns + 1, of: 7)
                set.product(layout).embed_row(tiles.stored.pointer, row, 0.25, addend.pointer, columns, coded.pointer)
                set.product(.int8).embed_row(tiles.decoded.pointer, row, 0.25, addend.pointer, columns, int8.pointer)
                #expect(coded.bits == int8.bits && coded[columns] == 7, "\(columns) columns, row \(row), seed \(seed)")
            }
        }
    }
}

/// Random activations and row scales beside some tiles.
private struct CodedProduct {
    let columns: Int, rows: Int, tiles: Int
    let x: Buffer<Float>, rowScales: Buffer<Float>

    init(_ tiles: CodedTiles, rows: Int, generator: inout SeededGenerator) {
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
