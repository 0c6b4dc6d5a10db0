package import LeafSystem

/// Hands out parts of one piece of memory, aligned to 64 bytes, and frees everything when it is released.
///
/// A model's large buffers are a few arenas, allocated once, with the sizes that the plan counted.
package final class Arena: @unchecked Sendable {
    private let memory: PageMemory
    private var used = 0

    /// - Throws: `.budget` if the system refuses the memory.
    package init(byteCount: Int) throws(LeafError) { memory = try PageMemory(count: byteCount, for: "a model") }

    package var byteCount: Int { memory.bytes.count }

    /// The next `count` elements. Sizes are planned, so running out of memory here is a programmer's error.
    package func take<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type) -> UnsafeMutablePointer<Element> {
        let bytes = Self.bytes(count, of: type)
        precondition(used + bytes <= byteCount)
        defer { used += bytes }
        return (memory.bytes.baseAddress! + used).bindMemory(to: type, capacity: count)
    }

    /// Bytes that `take` uses for `count` elements.
    package static func bytes<Element: BitwiseCopyable>(_ count: Int, of type: Element.Type) -> Int {
        (count * MemoryLayout<Element>.stride).roundedUp(to: 64)
    }
}
