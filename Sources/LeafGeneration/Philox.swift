/// Random numbers as a function of where they are used: the same seed, sample and step give the same number on every
/// machine, whatever was drawn before.
///
/// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). The key is the
/// request's seed, low word first; the counter says what the number is for. So other requests, an interruption or
/// another order of work change nothing.
package struct Philox: Sendable {
    package typealias Words = (UInt32, UInt32, UInt32, UInt32)

    private static let rounds = 10
    private static let multipliers: (UInt32, UInt32) = (0xD251_1F53, 0xCD9E_8D57)
    /// Added to the key after each round: the golden ratio, and the root of 3 less 1.
    private static let weyl: (UInt32, UInt32) = (0x9E37_79B9, 0xBB67_AE85)

    private let key: (UInt32, UInt32)

    package init(seed: UInt64) {
        key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    }

    /// The 128 bits of a counter.
    package func words(_ counter: Words) -> Words {
        var (a, b, c, d) = counter
        var key = key
        for _ in 0..<Self.rounds {
            let first = Self.multipliers.0.multipliedFullWidth(by: a)
            let second = Self.multipliers.1.multipliedFullWidth(by: c)
            (a, b, c, d) = (second.high ^ b ^ key.0, second.low, first.high ^ d ^ key.1, first.low)
            key = (key.0 &+ Self.weyl.0, key.1 &+ Self.weyl.1)
        }
        return (a, b, c, d)
    }
}
