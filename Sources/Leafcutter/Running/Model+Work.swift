import LeafFormat
package import LeafStream

/// What a model's sweeps have done, the parts of those that were broken off included.
extension Model {
    /// How often the weights have passed, by their bytes: 2.5 in the middle of the third sweep.
    package func passes(of counters: Counters) -> Double {
        let chunks = file.leaf.chunks
        guard let first = chunks.first, let last = chunks.last else { return 0 }
        let (whole, rest) = counters.chunksServed.quotientAndRemainder(dividingBy: chunks.count)
        // Chunks lie one behind the other, in the order of a sweep.
        let bytes = last.offset + last.paddedBytes - first.offset
        return Double(whole) + Double(chunks[rest].offset - first.offset) / Double(max(1, bytes))
    }

    /// The rows of all sweeps, each by how far it came.
    package var rowPasses: Double {
        (try? engine.perform { _ throws(LeafError) in engine.rowPasses }) ?? 0
    }
}
