/// The random part of a sampled text: a number for each token at each place.
///
/// The token whose logit and noise have the largest sum is distributed as the softmax of the logits (Gumbel, 1954). A
/// noise belongs to its token, and not to the token's place among others. So whoever chooses by slightly other logits
/// and the same noise, as a draft does, mostly chooses the same token (Daliri, Musco and Suresh, "Coupling without
/// communication and drafter-invariant speculative decoding", 2024).
package struct GumbelNoise: Sendable {
    private let random: Philox
    private let sample: UInt32

    /// - Parameters:
    ///   - seed: the request's.
    ///   - sample: the number of the sample in its request.
    package init(seed: UInt64, sample: Int) {
        random = Philox(seed: seed)
        self.sample = UInt32(truncatingIfNeeded: sample)
    }

    /// The noise of a token, -log(-log(u)) with u = (word + 1/2) / 2^32: between -3.2 and 22.9.
    ///
    /// - Parameter step: the number of tokens of the sample before this place.
    package func noise(of id: Int, step: Int) -> Double {
        Self.noise(words(of: id / 4, step: step)[id % 4])
    }

    /// The words of four tokens, from `4 * group` on: Philox at the counter `[step, sample, group, 0]`.
    func words(of group: Int, step: Int) -> SIMD4<UInt32> {
        let words = random.words((UInt32(truncatingIfNeeded: step), sample, UInt32(truncatingIfNeeded: group), 0))
        return SIMD4(words.0, words.1, words.2, words.3)
    }

    static func noise(_ word: UInt32) -> Double {
        -naturalLogarithm(-naturalLogarithm((Double(word) + 0.5) * 0x1p-32))
    }

    /// At least the noise of a word, without a logarithm: `noise < -log(1 - u)`, and 1 - u has the leading zeros of the
    /// word's complement.
    static func bound(_ word: UInt32) -> Double {
        Double((~word).leadingZeroBitCount + 1) * moreThanLogOfTwo
    }

    /// At least the noise of any word.
    static let largest = 33 * moreThanLogOfTwo

    /// More than ln 2 by 6e-10 of it, which is more than a logarithm can err.
    private static let moreThanLogOfTwo = 0.693_147_181
}

extension SamplingWorkspace {
    /// The id whose logit and noise have the largest sum in double precision; of equal sums the smaller id.
    ///
    /// Every operation is exact, or rounds in the same way everywhere, so all machines draw the same id.
    ///
    /// - Parameters:
    ///   - best: the id of the largest logit, which is finite.
    ///   - step: the number of tokens of the sample before this place.
    package func draw(_ noise: GumbelNoise, step: Int, best: Int) -> Int32 {
        var drawn = best
        var largest = Double(logits[best]) + noise.noise(of: best, step: step)
        func take(_ id: Int, _ sum: Double) {
            if sum > largest || (sum == largest && id < drawn) { (drawn, largest) = (id, sum) }
        }
        forEachContender(noise, step: step, above: { largest }, take)
        return Int32(drawn)
    }

    /// Calls `body` with every id whose logit and noise may have a sum that is as large as `least`, and with the sum.
    private func forEachContender(
        _ noise: GumbelNoise, step: Int, above least: () -> Double, _ body: (_ id: Int, _ sum: Double) -> Void
    ) {
        var (group, words) = (-1, SIMD4<UInt32>.zero)
        for id in 0..<vocabSize {
            let logit = Double(logits[id])
            // Nearly all tokens lose by their logit alone, or by the first bits of their word. Rounding is monotonic,
            // so one that loses with a bound would lose with its noise.
            guard logit + GumbelNoise.largest >= least() else { continue }
            if id / 4 != group {
                group = id / 4
                words = noise.words(of: group, step: step)
            }
            guard logit + GumbelNoise.bound(words[id % 4]) >= least() else { continue }
            body(id, logit + GumbelNoise.noise(words[id % 4]))
        }
    }
}

// MARK: Several at once, for drafts

extension SamplingWorkspace {
    /// The ids with the largest sums of logit and noise, and these sums, the largest first. The first is the one that
    /// is drawn.
    ///
    /// - Parameters:
    ///   - noise: nil to choose by the logits alone.
    ///   - count: ids at most; fewer where fewer are allowed.
    func leaders(_ noise: GumbelNoise?, step: Int, count: Int) -> [(id: Int32, sum: Double)] {
        var leaders: [(id: Int32, sum: Double)] = []
        leaders.reserveCapacity(count + 1)
        func take(_ id: Int, _ sum: Double) {
            guard sum > -.infinity, leaders.count < count || sum > leaders[count - 1].sum else { return }
            let place = leaders.firstIndex { $0.sum < sum } ?? leaders.count
            leaders.insert((Int32(id), sum), at: place)
            if leaders.count > count { leaders.removeLast() }
        }
        guard let noise else {
            for id in 0..<vocabSize { take(id, Double(logits[id])) }
            return leaders
        }
        let least = { leaders.count < count ? -Double.greatestFiniteMagnitude : leaders[count - 1].sum }
        forEachContender(noise, step: step, above: least, take)
        return leaders
    }
}
