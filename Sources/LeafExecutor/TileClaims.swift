import LeafFormat
import Synchronization

/// Which tiles of each chunk are still to be computed on this sweep.
///
/// Whoever is ready takes the next few. With equal shares all threads wait for one that has lost its core for some
/// milliseconds, as happens where a machine has more to do than this: a hypervisor that copies what is read is enough.
final class TileClaims: @unchecked Sendable {
    private let next: UnsafeMutablePointer<Atomic<Int>>
    private let chunkCount: Int

    init(chunkCount: Int) {
        self.chunkCount = chunkCount
        next = .allocate(capacity: max(1, chunkCount))
        for chunk in 0..<chunkCount { (next + chunk).initialize(to: Atomic(0)) }
    }

    deinit {
        next.deinitialize(count: chunkCount)
        next.deallocate()
    }

    /// How many tiles a thread takes at a time. OpenBLAS prepares its operands anew for each part, so float weights are
    /// taken in large ones.
    static func step(of tileCount: Int, threads: Int, _ layout: WeightLayout) -> Int {
        let partsOfThread = threads > 1 && layout.isQuantized ? 4 : 1
        return max(1, (tileCount + threads * partsOfThread - 1) / (threads * partsOfThread))
    }

    /// Makes all tiles free again, while no thread computes.
    func reset() {
        for chunk in 0..<chunkCount { next[chunk].store(0, ordering: .relaxed) }
    }

    /// - Returns: the next tiles of a chunk of `tileCount`, at most `step`; nil when all are taken.
    func take(_ step: Int, of tileCount: Int, in chunk: Int) -> Range<Int>? {
        let first = next[chunk].add(step, ordering: .relaxed).oldValue
        return first < tileCount ? first..<min(first + step, tileCount) : nil
    }
}
