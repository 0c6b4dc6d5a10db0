import LeafFormat

/// Random numbers as a function of where they are used: the same seed, tensor and index give the same numbers, on any
/// thread, whatever was drawn before.
///
/// SplitMix64 of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), started from a mix of
/// all three.
struct RandomStream {
    private var state: UInt64

    /// - Parameters:
    ///   - tensor: the number of the tensor's name.
    ///   - index: a tile or row of the tensor.
    init(seed: UInt64, tensor: UInt64, index: Int) {
        state = Self.mix(Self.mix(Self.mix(seed) &+ tensor) &+ UInt64(index))
    }

    /// The number of a tensor's name.
    static func number(of tensor: String) -> UInt64 { ChunkDigest.of(Array(tensor.utf8)) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    private static func mix(_ word: UInt64) -> UInt64 {
        var word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// Fills `target` with numbers of a table of 65536, one for each 16 bits.
    mutating func fill<Number>(
        _ target: UnsafeMutableBufferPointer<Number>, from table: UnsafePointer<Number>
    ) {
        let whole = target.count / 4 * 4
        var index = 0
        while index < whole {
            let word = next()
            target[index] = table[Int(word & 0xFFFF)]
            target[index + 1] = table[Int(word >> 16 & 0xFFFF)]
            target[index + 2] = table[Int(word >> 32 & 0xFFFF)]
            target[index + 3] = table[Int(word >> 48)]
            index += 4
        }
        let word = next()
        for rest in index..<target.count { target[rest] = table[Int(word >> (16 * (rest - index)) & 0xFFFF)] }
    }

    /// This many numbers of a table of 65536.
    mutating func numbers<Number>(_ count: Int, from table: [Number]) -> [Number] {
        [Number](unsafeUninitializedCapacity: count) { buffer, initialized in
            table.withUnsafeBufferPointer {
                fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]), from: $0.baseAddress!)
            }
            initialized = count
        }
    }

    mutating func normals(_ count: Int, _ distribution: NormalDistribution) -> [Float] {
        numbers(count, from: distribution.quantiles)
    }
}
