import LeafFormat
import Synchronization

/// Hands out the tiles of each chunk that have not been computed on this sweep.
///
/// A thread that is ready claims the next few tiles. With equal shares all threads would wait for one that loses its
/// core for some milliseconds. That happens whenever the machine does something else; a hypervisor that copies what is
/// read is enough.
final class TileClaims: @unchecked Sendable {
    private let next: UnsafeMutablePointer<Atomic<Int>>
    private let chunkCount: Int

    static func byteCount(chunks: Int) -> Int { chunks * MemoryLayout<Atomic<Int>>.stride }

    init(chunkCount: Int) {
        self.chunkCount = chunkCount
        next = .allocate(capacity: max(1, chunkCount))
        for chunk in 0..<chunkCount { (next + chunk).initialize(to: Atomic(0)) }
    }

    deinit {
        next.deinitialize(count: chunkCount)
        next.deallocate()
    }

    /// How many tiles a thread claims at a time. OpenBLAS prepares its operands again for each part, so parts of float
    /// weights are large.
    static func step(of tileCount: Int, threads: Int, _ layout: WeightLayout) -> Int {
        let partsOfThread = threads > 1 && layout.isQuantized ? 4 : 1
        return max(1, (tileCount + threads * partsOfThread - 1) / (threads * partsOfThread))
    }

    /// Makes all tiles free again. Call it while no thread computes.
    func reset() {
        for chunk in 0..<chunkCount { next[chunk].store(0, ordering: .relaxed) }
    }

    /// - Returns: the next tiles of a chunk of `tileCount`, at most `step`; nil if none are left.
    func take(_ step: Int, of tileCount: Int, in chunk: Int) -> Range<Int>? {
        let first = next[chunk].add(step, ordering: .relaxed).oldValue
        return first < tileCount ? first..<min(first + step, tileCount) : nil
    }
}
