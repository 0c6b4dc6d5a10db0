import CLeafKernels
import Foundation
import GoldenSupport
import Testing

/// Random queries, keys, values and buckets of one head.
private struct Head {
    let type: leaf_kv
    let dimHead: Int, keys: Int, rows: Int
    let q: [Float], k: [Float], v: [Float], bias: [Float]
    /// `[rows][keys]`
    var buckets: [UInt16]
    let scale: Float

    init(_ type: leaf_kv, dimHead: Int, keys: Int, rows: Int, masked: Double = 0.2, seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        self.type = type
        self.dimHead = dimHead
        self.keys = keys
        self.rows = rows
        q = generator.floats(rows * dimHead, exponents: -4...1)
        k = generator.floats(keys * dimHead, exponents: -4...1)
        v = generator.floats(keys * dimHead, exponents: -4...1)
        bias = generator.floats(40, exponents: -4...1)
        buckets = (0..<rows * keys).map { _ in
            Double.random(in: 0..<1, using: &generator) < masked ? 0xFFFF : UInt16.random(in: 0..<40, using: &generator)
        }
        scale = 1 / Float(dimHead).squareRoot()
    }

    /// Attention of rows `range` over the first `visible` keys, with `spare` masked keys behind them. Pages lie in
    /// reversed order when asked.
    func run(
        _ kernels: leaf_float_kernels, rows range: Range<Int>? = nil, keys visible: Int? = nil, spare: Int = 0,
        reversed: Bool = false
    ) -> [UInt32] {
        let range = range ?? 0..<rows
        let used = visible ?? keys
        let padded = alignUp(dimHead, 16)
        let pages = (used + spare + 15) / 16
        let pageBytes = 2 * 16 * padded * (type == LEAF_KV_F16 ? 2 : 4)
        let order = Buffer((0..<max(pages, 1)).map { UInt32(reversed ? pages - 1 - $0 : $0) })
        let base = Buffer<UInt8>(max(pages, 1) * pageBytes, of: 0)
        k.withUnsafeBufferPointer { k in
            v.withUnsafeBufferPointer { v in
                for key in 0..<min(used + spare, keys) {
                    kernels.cache_store(
                        type, dimHead, k.baseAddress! + key * dimHead, v.baseAddress! + key * dimHead,
                        base.pointer + Int(order[key / 16]) * pageBytes, key % 16)
                }
            }
        }
        let stride = pages * 16
        let wanted = Buffer<UInt16>(range.count * stride, of: 0xFFFF)
        for (index, row) in range.enumerated() {
            for key in 0..<used { wanted[index * stride + key] = buckets[row * keys + key] }
        }
        var view = leaf_cache_view(
            type: type, dim_head: dimHead, keys: used + spare, pages: order.pointer, base: base.pointer,
            page_stride: pageBytes)
        let outStride = dimHead + 3
        let out = Buffer<Float>(range.count * outStride, of: 77)
        let scratch = Buffer<Float>(range.count * stride + 16 * padded, of: .nan)
        let table = Buffer(bias)
        q.withUnsafeBufferPointer { q in
            kernels.attention(
                &view, q.baseAddress! + range.lowerBound * dimHead, dimHead, range.count, wanted.pointer, stride,
                table.pointer, scale, out.pointer, outStride, scratch.pointer)
        }
        for row in 0..<range.count {
            #expect(out.array[(row * outStride + dimHead)..<((row + 1) * outStride)].allSatisfy { $0 == 77 })
        }
        return (0..<range.count).flatMap { row in (0..<dimHead).map { out[row * outStride + $0].bitPattern } }
    }

    /// The same in Double, from the numbers that the cache holds.
    func exact() -> [Double] {
        func stored(_ x: Float) -> Double { type == LEAF_KV_F16 ? Double(Float16(x)) : Double(x) }
        var out: [Double] = []
        for row in 0..<rows {
            let seen = (0..<keys).filter { buckets[row * keys + $0] != 0xFFFF }
            let scores = seen.map { key -> Double in
                var product = 0.0
                for d in 0..<dimHead { product += Double(q[row * dimHead + d]) * stored(k[key * dimHead + d]) }
                return product * Double(scale) + Double(bias[Int(buckets[row * keys + key])])
            }
            let peak = scores.max() ?? 0
            let weights = scores.map { exp($0 - peak) }
            let sum = weights.reduce(0, +)
            for d in 0..<dimHead {
                var value = 0.0
                for (key, weight) in zip(seen, weights) { value += stored(v[key * dimHead + d]) * weight }
                out.append(seen.isEmpty ? 0 : value / sum)
            }
        }
        return out
    }
}

private let bothCaches = [LEAF_KV_F16, LEAF_KV_F32]
private let shapes = [(1, 1, 1), (8, 5, 3), (24, 33, 1), (64, 130, 1), (64, 130, 20), (100, 64, 13), (128, 200, 7)]

@Suite("attention") struct AttentionTests {
    @Test(arguments: InstructionSet.here, shapes)
    func attentionEqualsScalarAndTheExactOne(set: InstructionSet, shape: (Int, Int, Int)) {
        let seed = UInt64.random(in: 0...UInt64.max)
        for type in bothCaches {
            let head = Head(type, dimHead: shape.0, keys: shape.1, rows: shape.2, seed: seed)
            let out = head.run(set.floats)
            #expect(out == head.run(InstructionSet.scalar.floats), "seed \(seed)")
            let tolerance = 1e-5  // sums of up to 200 numbers below 2, in float32
            let near = zip(out, head.exact()).allSatisfy { abs(Double(Float(bitPattern: $0)) - $1) < tolerance }
            #expect(near, "seed \(seed)")
        }
    }

    @Test(arguments: InstructionSet.here)
    func queriesDoNotDependOnTheirNeighbours(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        for type in bothCaches {
            let head = Head(type, dimHead: 48, keys: 90, rows: 31, seed: seed)
            let together = head.run(set.floats)
            for first in 0..<head.rows {
                for count in [1, 2, 6, 13] where first + count <= head.rows {
                    let some = head.run(set.floats, rows: first..<first + count)
                    #expect(some == Array(together[first * 48..<(first + count) * 48]), "seed \(seed)")
                }
            }
        }
    }

    @Test(arguments: InstructionSet.here)
    func whereAPageLiesDoesNotMatter(set: InstructionSet) {
        let head = Head(LEAF_KV_F16, dimHead: 32, keys: 100, rows: 9, seed: 5)
        #expect(head.run(set.floats) == head.run(set.floats, reversed: true))
    }

    /// What makes a cached step equal to a full pass under a mask.
    @Test(arguments: InstructionSet.here)
    func hiddenKeysChangeNoBit(set: InstructionSet) {
        let seed = UInt64.random(in: 0...UInt64.max)
        for type in bothCaches {
            var full = Head(type, dimHead: 40, keys: 150, rows: 12, masked: 0, seed: seed)
            for visible in [1, 15, 16, 17, 64, 97, 149] {
                for row in 0..<full.rows {
                    for key in 0..<full.keys {
                        full.buckets[row * full.keys + key] = key < visible ? UInt16(key % 40) : 0xFFFF
                    }
                }
                let masked = full.run(set.floats)
                #expect(full.run(set.floats, keys: visible) == masked, "seed \(seed)")
                #expect(full.run(set.floats, keys: visible, spare: 40) == masked, "seed \(seed)")
                #expect(full.run(set.floats, rows: 4..<5, keys: visible) == Array(masked[160..<200]), "seed \(seed)")
            }
        }
    }

    @Test(arguments: InstructionSet.here)
    func queryThatSeesNothingGivesZeros(set: InstructionSet) {
        for keys in [0, 1, 40] {
            for rows in [1, 2, 8] {
                let head = Head(LEAF_KV_F16, dimHead: 20, keys: keys, rows: rows, masked: 1.1, seed: 3)
                #expect(head.run(set.floats).allSatisfy { $0 == 0 })
            }
        }
    }
}
