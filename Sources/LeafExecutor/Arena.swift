import Glibc
import LeafFormat
package import LeafSystem

/// One zeroed, page-aligned allocation. Hands out parts aligned to 64 bytes, and frees everything when it is released.
///
/// A model's large buffers are a few arenas, allocated once, with the sizes that the plan counted.
package final class Arena: @unchecked Sendable {
    package let byteCount: Int
    private let base: UnsafeMutableRawPointer
    private var used = 0

    /// - Throws: `.budget` if the system refuses the memory.
    package init(byteCount: Int) throws(LeafError) {
        self.byteCount = max(4096, byteCount.roundedUp(to: 4096))
        let raw = mmap(nil, self.byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let raw, raw != MAP_FAILED else {
            throw LeafError(.budget, "the system has no \(byteCount) bytes of memory left; use a smaller budget")
        }
        base = raw
    }

    deinit { munmap(base, byteCount) }

    /// The next `count` elements. Sizes are planned, so running out of memory here is a programmer's error.
    package func take<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type) -> UnsafeMutablePointer<Element> {
        let bytes = (count * MemoryLayout<Element>.stride).roundedUp(to: 64)
        precondition(used + bytes <= byteCount)
        defer { used += bytes }
        return (base + used).bindMemory(to: type, capacity: count)
    }

    /// Bytes that `take` uses for `count` elements.
    package static func bytes<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type) -> Int {
        (count * MemoryLayout<Element>.stride).roundedUp(to: 64)
    }
}
