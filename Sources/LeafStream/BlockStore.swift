public import LeafFormat

/// How weights are read.
public enum IOMode: String, Sendable, CaseIterable {
    case auto, map, direct, buffered
}

/// The chunks of one model, swept over and over in file order by a fixed number of consumers, inside the plan.
///
/// Every chunk is acquired exactly once a sweep by each consumer, in order; a pinned chunk and a streamed one look the
/// same. The ring of slots wraps from the last chunk of one sweep to the first of the next, so the disk never rests.
public protocol BlockStoring: AnyObject, Sendable {
    /// Waits until the chunk is there, unpacked and verified. Each consumer must release what it acquired before it
    /// can wait for a chunk more than `slotCount` streamed chunks ahead.
    /// - Throws: `.io` naming matrix, offset and reason; afterwards the store is dead and every call throws the same.
    func acquire(_ chunk: Int) throws(LeafError) -> UnsafeRawBufferPointer
    func release(_ chunk: Int)
    /// Stops in the middle of a sweep: the next `acquire` is for chunk 0 again. No consumer may hold a chunk.
    func abandonSweep()
    /// Reads any bytes of the file (resident tensors, rows of the token table), past the sweep.
    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError)
}
