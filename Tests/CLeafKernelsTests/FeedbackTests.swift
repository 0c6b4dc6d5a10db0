import CLeafKernels
import GoldenSupport
import Testing

/// Rows of inputs whose columns hang together, and one of them is far larger than the others.
private struct Inputs {
    let columns: Int
    let rows: [[Float]]

    init(columns: Int, rows: Int, using generator: inout SeededGenerator) {
        self.columns = columns
        self.rows = (0..<rows).map { _ in
            var row = generator.floats(columns)
            for column in 3..<columns { row[column] += 0.7 * row[column - 3] }
            for column in stride(from: 5, to: columns, by: 50) { row[column] *= 6 }
            return row
        }
    }

    /// The upper triangle as the kernels keep it.
    func products(_ set: InstructionSet) -> [Float] {
        let products = Buffer<Float>(LEAF_PRODUCTS_COUNT, of: 0)
        let stride = columns + 16
        set.floats.add_products(
            rows.flatMap { $0 + [Float](repeating: .nan, count: 16) }, stride, rows.count, columns, products.pointer)
        return products.array
    }

    func feedback(_ set: InstructionSet = .scalar) -> [Float] {
        let products = Buffer(self.products(set))
        #expect(leaf_feedback(products.pointer, columns) == 1)
        return products.array
    }

    /// The squared error of the outputs of a tile's 16 rows, where other numbers stand for its own.
    func error(of numbers: [Int8], for tile: [Int8]) -> Double {
        rows.reduce(0) { sum, row in
            (0..<16).reduce(sum) { sum, output in
                let miss = (0..<columns).reduce(0.0) {
                    let place = $1 / 4 * 64 + output * 4 + $1 % 4
                    return $0 + Double(row[$1]) * Double(Int(tile[place]) - Int(numbers[place]))
                }
                return sum + miss * miss
            }
        }
    }
}

/// An entry of the upper triangle.
private func entry(_ products: [Float], _ row: Int, _ column: Int) -> Double {
    let widths = (0..<row / 16).map { 256 - 16 * $0 }
    return Double(products[16 * widths.reduce(0, +) + row % 16 * (256 - row / 16 * 16) + column - row / 16 * 16])
}

private func encoded(_ tile: [Int8], _ set: InstructionSet, _ layout: Layout, _ feedback: [Float]? = nil) -> [UInt8] {
    let columns = tile.count / 16
    let bytes = columns / 64 * layout.sectionBytes
    let code = Buffer<UInt8>(bytes + 64, of: 0xA5)
    set.floats.encode(layout.kernel, tile, columns, feedback, code.pointer)
    #expect(code.array[bytes...].allSatisfy { $0 == 0xA5 })
    return Array(code.array[..<bytes])
}

private func decoded(_ code: [UInt8], _ layout: Layout) -> [Int8] {
    let columns = code.count / layout.sectionBytes * 64
    let numbers = Buffer<Int8>(16 * columns, of: 0)
    leaf_decode(layout.kernel, code, columns, numbers.pointer)
    return numbers.array
}

private func tile(columns: Int, using generator: inout SeededGenerator) -> [Int8] {
    generator.floats(16 * columns).map { Int8(max(-128, min(127, $0 * 60))) }
}

@Suite("Encoding for the inputs of a text") struct FeedbackTests {
    @Test(arguments: InstructionSet.here, [64, 128, 256])
    func productsAreThoseOfTheRows(set: InstructionSet, columns: Int) {
        var generator = SeededGenerator(seed: 1)
        let inputs = Inputs(columns: columns, rows: 70, using: &generator)
        let products = inputs.products(set)
        #expect(products == inputs.products(.scalar))
        for row in 0..<columns {
            for column in row..<columns {
                let (exact, magnitude) = inputs.rows.reduce((0.0, 0.0)) {
                    let product = Double($1[row]) * Double($1[column])
                    return ($0.0 + product, $0.1 + abs(product))
                }
                #expect(abs(entry(products, row, column) - exact) <= 1e-5 * magnitude)
            }
        }
    }

    /// The factors times each other are the products, with a hundredth of their mean on the diagonal.
    @Test(arguments: [64, 256]) func feedbackTakesTheProductsApart(columns: Int) {
        var generator = SeededGenerator(seed: 2)
        // Fewer rows than columns: without the hundredth they would have no factors.
        let inputs = Inputs(columns: columns, rows: 40, using: &generator)
        let (products, factors) = (inputs.products(.scalar), inputs.feedback())
        let mean = (0..<columns).reduce(0) { $0 + entry(products, $1, $1) } / Double(columns)
        for i in 0..<columns {
            for j in i..<columns {
                let sum = (j..<columns).reduce(0.0) { sum, k in
                    let (a, b) = (i == k ? 1 : entry(factors, i, k), j == k ? 1 : entry(factors, j, k))
                    return sum + a * b * entry(factors, k, k)
                }
                let expected = entry(products, i, j) + (i == j ? 0.01 * mean : 0)
                #expect(abs(sum - expected) <= 2e-3 * mean)
            }
        }
    }

    @Test(arguments: InstructionSet.fast, Layout.coded)
    func everyInstructionSetFindsTheSameCodes(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for columns in [64, 192, 256] {
            let feedback = Inputs(columns: columns, rows: 300, using: &generator).feedback()
            let tile = tile(columns: columns, using: &generator)
            #expect(
                encoded(tile, set, layout, feedback) == encoded(tile, .scalar, layout, feedback), "seed \(seed)")
        }
    }

    /// By a quarter at least, for inputs that hang together.
    @Test(arguments: Layout.coded) func outputsMissByLess(layout: Layout) {
        var generator = SeededGenerator(seed: 3)
        let inputs = Inputs(columns: 256, rows: 300, using: &generator)
        let set = InstructionSet.here.last!
        let tile = tile(columns: 256, using: &generator).map { max($0, -127) }
        let plain = inputs.error(of: decoded(encoded(tile, set, layout), layout), for: tile)
        let fed = inputs.error(of: decoded(encoded(tile, set, layout, inputs.feedback()), layout), for: tile)
        #expect(fed < 0.75 * plain)
    }

    @Test(arguments: InstructionSet.here, Layout.coded)
    func whatLiesOnGridsIsKept(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let feedback = Inputs(columns: 192, rows: 100, using: &generator).feedback()
        let once = decoded(encoded(tile(columns: 192, using: &generator), set, layout), layout)
        #expect(decoded(encoded(once, set, layout, feedback), layout) == once, "seed \(seed)")
    }

    /// Blocks of 256 columns know nothing of each other.
    @Test(arguments: InstructionSet.here, Layout.coded)
    func eachBlockHasItsOwnFeedback(set: InstructionSet, layout: Layout) {
        var generator = SeededGenerator(seed: 5)
        let widths = [256, 256, 128]
        let feedback = widths.map { Inputs(columns: $0, rows: 100, using: &generator).feedback() }
        let tiles = widths.map { tile(columns: $0, using: &generator) }
        let apart = zip(tiles, feedback).flatMap { encoded($0, set, layout, $1) }
        #expect(encoded(Array(tiles.joined()), set, layout, Array(feedback.joined())) == apart)
    }

    @Test func columnsThatNoTextUsedGetCodesToo() {
        var generator = SeededGenerator(seed: 4)
        let products = Buffer<Float>(LEAF_PRODUCTS_COUNT, of: 0)
        #expect(leaf_feedback(products.pointer, 256) == 1)
        let tile = tile(columns: 256, using: &generator)
        let numbers = decoded(encoded(tile, .scalar, .q4, products.array), .q4)
        let misses = zip(tile, numbers).map { abs(Int($0) - Int($1)) }
        #expect(misses.max()! < 20)
    }

    @Test(arguments: [Float.infinity, .nan]) func productsThatAreNotFiniteAreRefused(number: Float) {
        let products = Buffer<Float>(LEAF_PRODUCTS_COUNT, of: 0)
        products.pointer[0] = number
        #expect(leaf_feedback(products.pointer, 256) == 0)
    }
}
