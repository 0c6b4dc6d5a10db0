import CLeafKernels
import GoldenSupport
import Testing

@Suite("conversions and weights") struct ConversionTests {
    @Test(arguments: InstructionSet.here)
    func everyHalfWidensAsSwiftSays(set: InstructionSet) {
        let halves = (0...UInt16.max).map { $0 }
        let y = Buffer<Float>(halves.count + 1, of: 7)
        set.floats.f16_to_f32(halves, y.pointer, halves.count)
        for half in halves {
            let exact = Float(Float16(bitPattern: half))
            let got = y[Int(half)]
            #expect(got.bitPattern == exact.bitPattern || got.isNaN && exact.isNaN)
        }
        #expect(y[halves.count] == 7)
    }

    @Test(arguments: InstructionSet.here)
    func floatsRoundToHalvesAsSwiftSays(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var x: [Float] = [.infinity, -.infinity, .nan, 65504, 65519.996, 65520, 65536, .greatestFiniteMagnitude]
        for half in UInt16(0)..<0x7C00 {  // every half, the middle to the next, and that middle's neighbours
            let low = Float(Float16(bitPattern: half))
            let high = half == 0x7BFF ? 65536 : Float(Float16(bitPattern: half + 1))
            let middle = (low + high) / 2
            x += [low, -low, middle, -middle, middle.nextUp, middle.nextDown]
        }
        x += (0..<100_000).map { _ in generator.anyFinite() }
        let halves = Buffer<UInt16>(x.count + 1, of: 7)
        set.floats.f32_to_f16(x, halves.pointer, x.count)
        let wrong = x.indices.filter {
            let got = Float16(bitPattern: halves[$0])
            let exact = Float16(x[$0])
            return got.bitPattern != exact.bitPattern && !(got.isNaN && exact.isNaN)
        }
        #expect(wrong.isEmpty, "seed \(seed)")
        #expect(halves[x.count] == 7)
    }

    @Test(arguments: InstructionSet.here, oddLengths)
    func bfloatsAreUpperHalves(set: InstructionSet, n: Int) {
        var generator = SeededGenerator(seed: 8)
        let x = (0..<n).map { _ in UInt16.random(in: 0...UInt16.max, using: &generator) }
        let y = Buffer<Float>(n + 1, of: 7)
        set.floats.bf16_to_f32(x, y.pointer, n)
        for i in 0..<n { #expect(y[i].bitPattern == UInt32(x[i]) << 16) }
        #expect(y[n] == 7)
    }

    @Test(arguments: InstructionSet.here, oddLengths)
    func weightsRoundHalfToEven(set: InstructionSet, n: Int) {
        let seed = UInt64.random(in: 0...UInt64.max)
        let kernels = set.floats
        var generator = SeededGenerator(seed: seed)
        var x = generator.floats(n)
        for i in stride(from: 0, to: n, by: 7) { x[i] = Float(Int.random(in: -260...260, using: &generator)) / 2 }
        for scale in [kernels.absmax(x, n) / 127, 1, 0] as [Float] {
            let q = Buffer<Int8>(n + 1, of: 99)
            kernels.quantize_weights(x, n, scale, q.pointer)
            for i in 0..<n {
                let rounded = scale == 0 ? 0 : min(127, max(-127, (x[i] / scale).rounded(.toNearestOrEven)))
                #expect(q[i] == Int8(rounded), "seed \(seed)")
            }
            #expect(q[n] == 99)
        }
    }

    @Test(arguments: InstructionSet.here, oddLengths)
    func embeddingTakesOneRowOfATile(set: InstructionSet, n: Int) {
        var generator = SeededGenerator(seed: 21)
        let tile = (0..<16 * alignUp(n, 64)).map { _ in Int8.random(in: -127...127, using: &generator) }
        let addend = generator.floats(n)
        for row in 0..<16 {
            let y = Buffer<Float>(n + 1, of: 7)
            set.product.embed_row(tile, row, 0.01, addend, n, y.pointer)
            for c in 0..<n {
                let exact = addend[c].addingProduct(Float(tile[c / 4 * 64 + row * 4 + c % 4]), 0.01)
                #expect(y[c].bitPattern == exact.bitPattern)
            }
            #expect(y[n] == 7)
        }
    }
}
