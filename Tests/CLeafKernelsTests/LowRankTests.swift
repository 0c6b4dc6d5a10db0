import CLeafKernels
import Foundation
import GoldenSupport
import Testing

@Suite("products of small rank") struct LowRankTests {
    /// Numbers of all signs cancel; float32 sums are this near the exact one, as a share of the sum of magnitudes.
    static let tolerance = 1e-6

    private struct Case {
        let columns: Int, outputs: Int, rank: Int
        let x: [Float], a: [Float], b: [Float], y: [Float]
        var scale: Float { 1.5 }

        init(_ columns: Int, _ outputs: Int, _ rank: Int, _ generator: inout SeededGenerator) {
            (self.columns, self.outputs, self.rank) = (columns, outputs, rank)
            x = generator.floats(columns)
            a = generator.floats(rank * (columns + 3))
            b = generator.floats(rank * (outputs + 5))
            y = generator.floats(outputs)
        }

        /// Both products, with a guard behind each result.
        func run(_ kernels: leaf_float_kernels) -> (t: [Float], y: [Float]) {
            let t = Buffer([Float](repeating: 77, count: rank + 1))
            let y = Buffer(self.y + [77])
            kernels.low_rank_down(x, a, columns + 3, rank, columns, scale, t.pointer)
            kernels.low_rank_up(t.pointer, b, outputs + 5, rank, outputs, y.pointer)
            #expect(t[rank] == 77 && y[outputs] == 77)
            return (Array(t.array.dropLast()), Array(y.array.dropLast()))
        }
    }

    private static let shapes = [(1, 1, 1), (48, 96, 4), (100, 48, 3), (350, 17, 8), (3735, 64, 16), (4096, 31, 33)]

    @Test(arguments: InstructionSet.fast) func everySetEqualsScalar(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for (columns, outputs, rank) in Self.shapes {
            let test = Case(columns, outputs, rank, &generator)
            #expect(test.run(set.floats) == test.run(InstructionSet.scalar.floats), "seed \(seed)")
        }
    }

    @Test func scalarIsTheFormula() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for (columns, outputs, rank) in Self.shapes {
            let test = Case(columns, outputs, rank, &generator)
            let (t, y) = test.run(InstructionSet.scalar.floats)
            for k in 0..<rank {
                let terms = (0..<columns).map { Double(test.x[$0]) * Double(test.a[k * (columns + 3) + $0]) * 1.5 }
                let size = terms.reduce(0) { $0 + abs($1) }
                #expect(abs(Double(t[k]) - terms.reduce(0, +)) <= size * Self.tolerance, "seed \(seed)")
            }
            for o in 0..<outputs {
                let terms =
                    [Double(test.y[o])] + (0..<rank).map { Double(t[$0]) * Double(test.b[$0 * (outputs + 5) + o]) }
                let size = terms.reduce(0) { $0 + abs($1) }
                #expect(abs(Double(y[o]) - terms.reduce(0, +)) <= size * Self.tolerance, "seed \(seed)")
            }
        }
    }
}
