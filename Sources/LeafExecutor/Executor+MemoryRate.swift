import LeafFormat
import LeafStream
import LeafSystem

extension Executor {
    private static let mostBytes = 256 << 20
    /// Fewer bytes fit into caches and say nothing about memory.
    private static let leastBytes = 64 << 20
    private static let pieceBytes = 16 << 10

    /// Measures the bytes per second at which all threads copy pinned weights into their caches; the better of two
    /// passes.
    ///
    /// The weights are in memory already, so this needs no memory of its own and can run while the machine is in use.
    ///
    /// - Parameter pinned: indices of chunks, of which at most 256 MiB are read.
    /// - Returns: nil if too few bytes are pinned.
    package func measureMemoryRate(pinned: [Int]) -> Double? {
        var bytes = 0
        let chunks = pinned.prefix {
            bytes += file.chunks[$0].rawBytes
            return bytes <= Self.mostBytes
        }
        guard bytes >= Self.leastBytes else { return nil }
        var best: Double?
        for _ in 0..<2 {
            let start = ContinuousClock.now
            var copied = [Int](repeating: 0, count: pool.threadCount)
            try? pool.run { [self] worker throws(LeafError) in
                copied[worker] = chunks[pool.share(of: chunks.count, for: worker)].reduce(0) { $0 + copy($1) }
            }
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            let total = copied.reduce(0, +)
            if total > 0, seconds > 0 { best = max(best ?? 0, Double(total) / seconds) }
        }
        return best
    }

    /// - Returns: the bytes copied.
    private func copy(_ chunk: Int) -> Int {
        let entry = file.chunks[chunk]
        return withUnsafeTemporaryAllocation(byteCount: Self.pieceBytes, alignment: 64) { room in
            var copied = 0
            for offset in stride(from: 0, to: entry.rawBytes, by: Self.pieceBytes) {
                let piece = UnsafeMutableRawBufferPointer(
                    rebasing: room[..<min(Self.pieceBytes, entry.rawBytes - offset)])
                if store.copyPinned(at: entry.offset + offset, into: piece) { copied += piece.count }
            }
            return copied
        }
    }
}
