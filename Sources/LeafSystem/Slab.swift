/// One piece of anonymous memory for many chunks, in huge pages if the system has them.
///
/// Its resident size never exceeds `count`, because a huge page must lie in the mapping as a whole.
package final class Slab: @unchecked Sendable {
    private static let hugePageBytes = 2 << 20

    package let base: UnsafeMutableRawPointer
    /// The size, a multiple of the page size; may be zero.
    package let count: Int
    private let system: SystemCalls

    package init(count: Int, system: SystemCalls) throws(LeafError) {
        self.count = count
        self.system = system
        guard count > 0 else {
            base = UnsafeMutableRawPointer(bitPattern: Self.hugePageBytes)!
            return
        }
        // Maps enough to begin at a huge page's boundary, and unmaps the parts before and after at once.
        let alignment = count >= Self.hugePageBytes ? Self.hugePageBytes : ReadableFile.alignment
        let room = count + alignment - ReadableFile.alignment
        let address = system.map(nil, room)
        guard address > 0, let start = UnsafeMutableRawPointer(bitPattern: address) else {
            throw LeafError(
                .budget, "the system gives no memory for \(count.sizeText) of weights; use a smaller budget")
        }
        base = start.alignedUp(toMultipleOf: alignment)
        let before = base - start
        if before > 0 { system.unmap(start, before) }
        if room - before - count > 0 { system.unmap(base + count, room - before - count) }
        if count >= Self.hugePageBytes { _ = system.adviseMemory(base, count, .hugePages) }
    }

    deinit { if count > 0 { system.unmap(base, count) } }

    package func bytes(at offset: Int, count: Int) -> UnsafeMutableRawBufferPointer {
        assert(offset >= 0 && count >= 0 && offset + count <= self.count)
        return UnsafeMutableRawBufferPointer(start: base + offset, count: count)
    }

    /// Frees pages until they are written again.
    package func discard(at offset: Int, count: Int) {
        _ = system.adviseMemory(bytes(at: offset, count: count).baseAddress!, count, .dontNeed)
    }
}
