import LeafFormat
package import LeafSystem

extension AdapterFile {
    /// The XXH3-64 of everything in the adapter that affects a model, whatever form its file has.
    ///
    /// - Throws: `.io` and `.badInput` if it cannot be read.
    package func digest(_ kernels: WeightKernels) throws(LeafError) -> UInt64 {
        var digest = try ChunkDigest()
        for factors in factors {
            digest.update(Array("\(factors.matrix) \(factors.rank) \(factors.scale)\n".utf8))
            let (a, b) = try factors.floats(kernels)
            digest.update(a)
            digest.update(b)
        }
        return digest.value
    }
}

extension SoftPromptFile {
    /// The XXH3-64 of its numbers.
    ///
    /// - Throws: `.io` and `.badInput` if it cannot be read.
    package func digest(_ kernels: WeightKernels) throws(LeafError) -> UInt64 {
        var digest = try ChunkDigest()
        digest.update(try floats(kernels))
        return digest.value
    }
}

extension ChunkDigest {
    fileprivate mutating func update(_ values: [some BitwiseCopyable]) {
        values.withUnsafeBytes { update($0) }
    }
}
