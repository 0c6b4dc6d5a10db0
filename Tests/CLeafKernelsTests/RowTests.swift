import CLeafKernels
import Foundation
import GoldenSupport
import Testing

/// Runs `body` on a copy of x with 5 guards behind it, which must survive.
private func changed(_ x: [Float], _ body: (UnsafeMutablePointer<Float>, Int) -> Void) -> [Float] {
    let guarded = Buffer(x + [Float](repeating: 12345, count: 5))
    body(guarded.pointer, x.count)
    #expect(guarded.array[x.count...].allSatisfy { $0 == 12345 })
    return Array(guarded.array[..<x.count])
}

private func bits(_ x: [Float]) -> [UInt32] { x.map(\.bitPattern) }

/// Distance from the exact value in units of the last place of float32.
private func ulps(_ got: Float, _ exact: Double) -> Double {
    let unit = max(Float(exact).ulp, Float.leastNormalMagnitude.ulp)
    let below = Float(exact).magnitude.nextDown.ulp  // exact just under a power of two, rounded up to it
    return abs(Double(got) - exact) / Double(Double(Float(exact).magnitude) > abs(exact) ? below : unit)
}

@Suite("rows of float32") struct RowTests {
    @Test(arguments: InstructionSet.fast, oddLengths)
    func everyFunctionEqualsScalar(set: InstructionSet, n: Int) {
        let seed = UInt64.random(in: 0...UInt64.max)
        let fast = set.floats
        let plain = InstructionSet.scalar.floats
        var generator = SeededGenerator(seed: seed)
        let x = generator.floats(n, exponents: -20...7)
        let y = generator.floats(n, exponents: -20...7)
        func same(_ body: (leaf_float_kernels, UnsafeMutablePointer<Float>, Int) -> Void) -> Bool {
            bits(changed(x) { body(fast, $0, $1) }) == bits(changed(x) { body(plain, $0, $1) })
        }
        #expect(same { $0.rms_norm($1, y, $2, 1e-6, $1) }, "seed \(seed)")
        #expect(same { $0.add($1, y, $2) }, "seed \(seed)")
        #expect(same { $0.gelu_multiply($1, y, $2) }, "seed \(seed)")
        #expect(same { $0.exp($1, $1, $2) }, "seed \(seed)")
        #expect(same { $0.erf($1, $1, $2) }, "seed \(seed)")
        #expect(same { $0.softmax($1, $2) }, "seed \(seed)")
        #expect(fast.absmax(x, n) == plain.absmax(x, n), "seed \(seed)")
        #expect(fast.argmax(x, n) == plain.argmax(x, n), "seed \(seed)")
    }

    @Test(arguments: InstructionSet.here)
    func normIsNearTheExactOne(set: InstructionSet) {
        var generator = SeededGenerator(seed: 11)
        for n in [1, 48, 4096] {
            let x = generator.floats(n)
            let weight = generator.floats(n)
            let y = changed(x) { set.floats.rms_norm($0, weight, $1, 1e-6, $0) }
            let root = (x.reduce(0) { $0 + Double($1) * Double($1) } / Double(n) + 1e-6).squareRoot()
            for i in 0..<n {
                let exact = Double(x[i]) / root * Double(weight[i])
                #expect(abs(Double(y[i]) - exact) <= 4e-7 * abs(exact))
            }
        }
    }

    @Test(arguments: InstructionSet.here)
    func geluIsNearTheExactOne(set: InstructionSet) {
        let x = (-800...800).map { Float($0) / 100 }
        let up = [Float](repeating: 1, count: x.count)
        let y = changed(x) { set.floats.gelu_multiply($0, up, $1) }
        for (x, y) in zip(x, y) {
            let exact = 0.5 * Double(x) * (1 + erf(Double(x) / 2.0.squareRoot()))
            #expect(abs(Double(y) - exact) <= 2e-7 * max(1, abs(Double(x))))
        }
    }

    /// The bounds of Documentation/numerics.md, on every 1009th float; `make -C Benchmarks/kernels ulp` takes all.
    @Test(arguments: InstructionSet.here)
    func exponentialAndErrorFunctionKeepTheirBounds(set: InstructionSet) {
        let stride = set == .scalar ? 16 * 1009 : 1009
        let x = Swift.stride(from: 0, through: Int(UInt32.max), by: stride).map { Float(bitPattern: UInt32($0)) }
            .filter { !$0.isNaN }
        let exponential = changed(x) { set.floats.exp($0, $0, $1) }
        let error = changed(x) { set.floats.erf($0, $0, $1) }
        var worstExponential = 0.0
        var worstError = 0.0
        var wrong = 0
        for (i, x) in x.enumerated() {
            let exact = exp(Double(x))
            if exact < Double(Float.leastNormalMagnitude) {
                wrong += exponential[i] == 0 ? 0 : 1
            } else if Float(exact).isInfinite {
                wrong += exponential[i] == .infinity ? 0 : 1
            } else {
                worstExponential = max(worstExponential, ulps(exponential[i], exact))
            }
            worstError = max(worstError, ulps(error[i], erf(Double(x))))
        }
        #expect(wrong == 0)
        #expect(worstExponential <= 1)
        #expect(worstError <= 1.1)
    }

    @Test(arguments: InstructionSet.here)
    func specialNumbersOfExpAndErf(set: InstructionSet) {
        let x: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 88.72284, 88.7228, -87.33655, -87.3365, -200]
        let e = changed(x) { set.floats.exp($0, $0, $1) }
        #expect(e[0].isNaN && e[1] == .infinity && e[2] == 0 && e[3] == 1 && e[4] == 1)
        #expect(e[5] == .infinity && e[6].isFinite && e[7] == 0 && e[8] >= .leastNormalMagnitude && e[9] == 0)
        let f = changed(x) { set.floats.erf($0, $0, $1) }
        #expect(f[0].isNaN && f[1] == 1 && f[2] == -1 && f[3].bitPattern == 0 && f[4].sign == .minus && f[4] == 0)
    }

    @Test(arguments: InstructionSet.here)
    func softmaxIsADistribution(set: InstructionSet) {
        var generator = SeededGenerator(seed: 2)
        for n in oddLengths {
            var x = generator.floats(n, exponents: -3...4)
            if n > 2 { x[n / 2] = -.infinity }
            let y = changed(x) { set.floats.softmax($0, $1) }
            let peak = Double(x.max()!)
            let sum = x.reduce(0) { $0 + exp(Double($1) - peak) }
            for i in 0..<n { #expect(abs(Double(y[i]) - exp(Double(x[i]) - peak) / sum) < 1e-6) }
            if n > 2 { #expect(y[n / 2].bitPattern == 0) }
        }
    }

    @Test(arguments: InstructionSet.here, [1, 16, 33])
    func softmaxOfNothingVisibleIsZero(set: InstructionSet, n: Int) {
        let y = changed([Float](repeating: -.infinity, count: n)) { set.floats.softmax($0, $1) }
        #expect(y.allSatisfy { $0 == 0 })
    }

    @Test(arguments: InstructionSet.here)
    func argmaxPrefersTheSmallestIndexAndNeverNaN(set: InstructionSet) {
        let argmax = set.floats.argmax!
        #expect(argmax([.nan, .nan], 2) == 2)
        #expect(argmax([], 0) == 0)
        #expect(argmax([.nan, -.infinity, -.infinity], 3) == 1)
        #expect(argmax([-0.0, 0], 2) == 0)
        #expect(argmax([1, .infinity, .nan, .infinity], 4) == 1)
        var generator = SeededGenerator(seed: 4)
        for n in oddLengths {
            for _ in 0..<20 {
                let choices: [Float] = [.nan, 1, 2, 3, -.infinity]
                let x = (0..<n).map { _ in choices.randomElement(using: &generator)! }
                let numbers = x.indices.filter { !x[$0].isNaN }
                let best = numbers.max { (x[$0], $1) < (x[$1], $0) } ?? n
                #expect(argmax(x, n) == best)
            }
        }
    }

    @Test(arguments: InstructionSet.here)
    func absmaxShowsDamage(set: InstructionSet) {
        #expect(set.floats.absmax([1, -3, 2], 3) == 3)
        #expect(set.floats.absmax([], 0) == 0)
        #expect(set.floats.absmax([1, -.infinity], 2) == .infinity)
        #expect(set.floats.absmax([1, .nan, .infinity], 3).isNaN)
    }
}
