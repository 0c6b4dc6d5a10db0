import CLeafKernels
import GoldenSupport
import Testing

extension Layout {
    /// The numbers of each grid in ascending order.
    fileprivate var ascending: [[Int]] { grids.map { $0.sorted() } }
}

/// A tile of 16 rows as numbers of one size each.
private struct Tile: Equatable {
    var numbers: [Int8]
    var columns: Int { numbers.count / 16 }

    /// The places of the 32 numbers of each block of 4 rows by 8 columns, in the order of selectors.
    var blocks: [[Int]] {
        stride(from: 0, to: columns, by: 8).flatMap { column in
            (0..<4).map { quarter in
                [0, 64].flatMap { half in (0..<16).map { 16 * column + half + 16 * quarter + $0 } }
            }
        }
    }

    /// The bytes of its coded tile; guards behind them must survive.
    func encoded(_ set: InstructionSet, _ layout: Layout) -> [UInt8] {
        let bytes = columns / 64 * layout.sectionBytes
        let tile = Buffer<UInt8>(bytes + 64, of: 0xA5)
        set.floats.encode(layout.kernel, numbers, columns, nil, tile.pointer)
        #expect(tile.array[bytes...].allSatisfy { $0 == 0xA5 })
        return Array(tile.array[..<bytes])
    }

    init(numbers: [Int8]) { self.numbers = numbers }

    init(decoding tile: [UInt8], _ layout: Layout) {
        let columns = tile.count / layout.sectionBytes * 64
        let numbers = Buffer<Int8>(16 * columns, of: 0)
        leaf_decode(layout.kernel, tile, columns, numbers.pointer)
        self.numbers = numbers.array
    }
}

/// What rows may look like.
private enum Rows: String, CaseIterable {
    case even, normal, outlying, tiny, sparse, extreme

    func tile(columns: Int, using generator: inout SeededGenerator) -> Tile {
        Tile(numbers: (0..<16 * columns).map { _ in Int8(min(max(number(using: &generator), -127), 127)) })
    }

    private func number(using generator: inout SeededGenerator) -> Double {
        let bell = (0..<12).reduce(-6) { sum, _ in sum + Double.random(in: 0...1, using: &generator) }
        let seldom = Int.random(in: 0..<40, using: &generator) == 0
        return switch self {
        case .even: Double.random(in: -127...127, using: &generator)
        case .normal: (32 * bell).rounded()
        case .outlying: (seldom ? 60 * bell : 8 * bell).rounded()
        case .tiny: (2 * bell).rounded()
        case .sparse: seldom ? (40 * bell).rounded() : 0
        case .extreme: bell < 0 ? -127 : 127
        }
    }
}

/// Squared misses of one block, weighted with w^2 + mean(w^2), the mean a rounded integer.
private func error(_ block: [Int], _ stands: (Int) -> Double) -> Double {
    let mean = (block.reduce(0) { $0 + $1 * $1 } + 16) / 32
    return block.reduce(0) { sum, w in
        let miss = Double(w) - stands(w)
        return sum + Double(w * w + mean) * miss * miss
    }
}

/// The code of the nearest entry; of equals the smaller.
private func nearest(_ w: Int, _ grid: [Int]) -> Int {
    grid.indices.reduce(0) { abs(grid[$1] - w) < abs(grid[$0] - w) ? $1 : $0 }
}

@Suite("Encoding") struct EncodingTests {
    @Test(arguments: zip(Layout.coded, [16, 8]))
    func everyGridHasItsNumbersFromZeroUpwards(layout: Layout, count: Int) {
        #expect(layout.grids.count == 256)
        for (codes, grid) in zip(layout.grids, layout.ascending) {
            #expect(Set(grid).count == count && grid.allSatisfy { (-127...127).contains($0) })
            #expect(codes == grid.filter { $0 >= 0 } + grid.filter { $0 < 0 } && codes[0] == 0)
        }
    }

    @Test(arguments: InstructionSet.here, Layout.coded)
    func bytesOfZerosAreZeros(set: InstructionSet, layout: Layout) {
        let zeros = Tile(numbers: [Int8](repeating: 0, count: 16 * 128))
        #expect(zeros.encoded(set, layout).allSatisfy { $0 == 0 })
        #expect(Tile(decoding: [UInt8](repeating: 0, count: 2 * layout.sectionBytes), layout) == zeros)
    }

    @Test(arguments: InstructionSet.here, Layout.coded)
    func blocksThatLieOnAGridAreKept(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var tile = Tile(numbers: [Int8](repeating: 0, count: 16 * 576))
        for (index, places) in tile.blocks.enumerated() {
            let grid = layout.grids[index % layout.grids.count]
            for place in places { tile.numbers[place] = Int8(grid.randomElement(using: &generator)!) }
        }
        #expect(Tile(decoding: tile.encoded(set, layout), layout) == tile, "seed \(seed)")
    }

    @Test(arguments: InstructionSet.here, Layout.coded)
    func zerosStayZeros(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for rows in Rows.allCases {
            var tile = rows.tile(columns: 128, using: &generator)
            for place in tile.numbers.indices.suffix(16 * 50) { tile.numbers[place] = 0 }  // padding
            for place in tile.numbers.indices where Bool.random(using: &generator) { tile.numbers[place] = 0 }
            let decoded = Tile(decoding: tile.encoded(set, layout), layout).numbers
            #expect(zip(tile.numbers, decoded).allSatisfy { $0 != 0 || $1 == 0 }, "\(rows), seed \(seed)")
        }
    }

    @Test(arguments: InstructionSet.fast, [64, 192, 1024])
    func everyInstructionSetEqualsScalar(set: InstructionSet, columns: Int) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for (rows, layout) in Rows.allCases.flatMap({ rows in Layout.coded.map { (rows, $0) } }) {
            let tile = rows.tile(columns: columns, using: &generator)
            #expect(tile.encoded(set, layout) == tile.encoded(.scalar, layout), "\(layout) \(rows), seed \(seed)")
        }
    }

    @Test(arguments: InstructionSet.here, Layout.coded)
    func encodingAgainChangesNothing(set: InstructionSet, layout: Layout) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for rows in Rows.allCases {
            let once = Tile(decoding: rows.tile(columns: 256, using: &generator).encoded(set, layout), layout)
            #expect(Tile(decoding: once.encoded(set, layout), layout) == once, "\(rows), seed \(seed)")
        }
    }

    /// Found in a second way: the first grid that holds a block, or else the first of the least error among those about
    /// as wide, or among all where there are few numbers.
    @Test(arguments: InstructionSet.here, Layout.coded)
    func itTakesTheFirstOfTheNearestGrids(set: InstructionSet, layout: Layout) {
        let grids = layout.ascending
        let reaches = grids.map { max(abs($0.first!), abs($0.last!)) }
        let slack = layout == .q4 ? 0.0 : 3
        func tried(_ block: [Int]) -> ClosedRange<Int> {
            guard block.count(where: { $0 != 0 }) > 4 else { return 0...255 }
            let absmax = Double(block.map(abs).max()!)
            let reach = 0.92 * absmax - slack...max(1.25 * absmax, Double(reaches[0]))
            let wide = reaches.indices.filter { reach.contains(Double(reaches[$0])) }
            return wide.first!...wide.last!
        }
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for rows in Rows.allCases {
            let tile = rows.tile(columns: 64, using: &generator)
            let bytes = tile.encoded(set, layout)
            for (index, places) in tile.blocks.enumerated() {
                let block = places.map { Int(tile.numbers[$0]) }
                let exact = grids.firstIndex { Set($0).isSuperset(of: block) }
                var (best, least) = (0, Double.infinity)
                for number in tried(block) where exact == nil {
                    let own = error(block) { Double(grids[number][nearest($0, grids[number])]) }
                    if own < least { (best, least) = (number, own) }
                }
                #expect(Int(bytes[index]) == exact ?? best, "\(rows), seed \(seed)")
            }
        }
    }

    /// The encoder tries only grids about as wide as the block. In a tile that costs at most 5 % beside trying all 256,
    /// of q3 10 %: a block of a few small numbers has few grids.
    @Test(arguments: Layout.coded) func itFindsNearlyWhatTryingEveryGridFinds(layout: Layout) {
        let grids = layout.ascending
        var generator = SeededGenerator(seed: 18)
        for rows in Rows.allCases {
            let tile = rows.tile(columns: 192, using: &generator)
            let bytes = tile.encoded(.scalar, layout)
            let decoded = Tile(decoding: bytes, layout)
            var found = 0.0
            var least = 0.0
            for (index, places) in tile.blocks.enumerated() {
                let block = places.map { Int(tile.numbers[$0]) }
                let grid = grids[Int(bytes[index / 32 * layout.sectionBytes + index % 32])]
                #expect(places.map { Int(decoded.numbers[$0]) } == block.map { grid[nearest($0, grid)] })
                let own = error(block) { Double(grid[nearest($0, grid)]) }
                let best = grids.map { grid in error(block) { Double(grid[nearest($0, grid)]) } }.min()!
                found += own
                least += best
            }
            #expect(found <= (layout == .q4 ? 1.05 : 1.1) * least, "\(rows)")
        }
    }

    /// Rounding has 15 or 7 evenly spaced numbers that reach as far as the block does, at any scale. It keeps a block
    /// of a single number beside zeros, so sparse rows are left out.
    @Test(arguments: Layout.coded) func itMissesByLessThanRoundingToTheNearest(layout: Layout) {
        let reach = Double(layout.grids[0].count / 2 - 1)
        var generator = SeededGenerator(seed: 4)
        for rows in Rows.allCases where rows != .sparse {
            let tile = rows.tile(columns: 512, using: &generator)
            let decoded = Tile(decoding: tile.encoded(InstructionSet.here.last!, layout), layout)
            var ours = 0.0
            var rounded = 0.0
            for places in tile.blocks {
                let block = places.map { Int(tile.numbers[$0]) }
                let scale = max(Double(block.map(abs).max()!) / reach, 1e-9)
                rounded += error(block) { (Double($0) / scale).rounded(.toNearestOrEven) * scale }
                let mean = (block.reduce(0) { $0 + $1 * $1 } + 16) / 32
                for place in places {
                    let w = Int(tile.numbers[place])
                    let miss = w - Int(decoded.numbers[place])
                    ours += Double((w * w + mean) * miss * miss)
                }
            }
            #expect(ours <= rounded, "\(rows)")
        }
    }

    @Test(arguments: InstructionSet.here, Layout.coded)
    func minus128CountsAsMinus127(set: InstructionSet, layout: Layout) {
        var generator = SeededGenerator(seed: 5)
        var tile = Rows.even.tile(columns: 64, using: &generator)
        for place in stride(from: 0, to: tile.numbers.count, by: 7) { tile.numbers[place] = -128 }
        #expect(tile.encoded(set, layout) == Tile(numbers: tile.numbers.map { max($0, -127) }).encoded(set, layout))
    }
}
