internal import Synchronization

/// Zeroed memory in whole pages with one owner. What is larger than a page is allocated here.
///
/// Sizes that come from files may be asked for: a refusal by the system is an error and does not end the process. The
/// owner makes sure that no two threads write the same bytes.
package final class PageMemory: @unchecked Sendable {
    /// The unit of memory, and of addresses, offsets and lengths in direct reads and writes.
    package static let pageBytes = 4096
    private static let hugePageBytes = 2 << 20

    package enum Kind: Sendable {
        /// Memory that will be used.
        case ordinary
        /// Addresses of which some may never be used, in huge pages if the system has them.
        case reserved
    }

    /// The bytes, whole pages. A page that was never written takes no memory.
    package let bytes: UnsafeMutableRawBufferPointer
    private let system: SystemCalls

    /// Bytes of all that there is in this process.
    package static var heldBytes: Int { held.load(ordering: .relaxed) }
    private static let held = Atomic<Int>(0)

    /// - Parameters:
    ///   - count: rounded up to whole pages; may be zero.
    ///   - purpose: what it is for, for the error: `weights`.
    /// - Throws: `.budget` if the system refuses the memory.
    package init(
        count: Int, for purpose: String = "a buffer", _ kind: Kind = .ordinary, system: SystemCalls = .real
    ) throws(LeafError) {
        self.system = system
        // The resident size never exceeds `count`, because a huge page must lie in the mapping as a whole. It begins at
        // a huge page's boundary: more is mapped, and the parts before and after are unmapped at once.
        let isHuge = kind == .reserved && count >= Self.hugePageBytes
        let alignment = isHuge ? Self.hugePageBytes : Self.pageBytes
        guard count > 0 else {
            bytes = UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: alignment), count: 0)
            return
        }
        let size = (count +| (Self.pageBytes - 1)) / Self.pageBytes * Self.pageBytes
        let room = size +| (alignment - Self.pageBytes)
        let address = system.map(kind == .ordinary ? .memory : .reserved, room)
        guard address > 0, let start = UnsafeMutableRawPointer(bitPattern: address) else {
            if let limit = AddressLimit.current().first(where: { $0.room < room }) {
                throw limit.refusal(of: room, for: purpose)
            }
            throw LeafError(
                .budget,
                "the system gives no \(count.sizeText) of memory for \(purpose); "
                    + "use a smaller budget or close other programs")
        }
        let base = start.alignedUp(toMultipleOf: alignment)
        let before = base - start
        if before > 0 { system.unmap(start, before) }
        if room - before > size { system.unmap(base + size, room - before - size) }
        if isHuge { _ = system.adviseMemory(base, size, .hugePages) }
        bytes = UnsafeMutableRawBufferPointer(start: base, count: size)
        Self.held.add(size, ordering: .relaxed)
    }

    deinit {
        guard bytes.count > 0 else { return }
        system.unmap(bytes.baseAddress!, bytes.count)
        Self.held.subtract(bytes.count, ordering: .relaxed)
    }

    package func bytes(at offset: Int, count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }

    /// Frees pages until they are written again.
    package func discard(at offset: Int, count: Int) {
        _ = system.adviseMemory(bytes(at: offset, count: count).baseAddress!, count, .dontNeed)
    }
}
