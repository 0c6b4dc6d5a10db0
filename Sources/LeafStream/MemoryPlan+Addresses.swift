internal import LeafSystem

extension MemoryPlan {
    /// Addresses that are mapped after the plan is made, for limits that count what is never touched: the plan's
    /// bytes, without what is there already, and with everything that is only reserved.
    ///
    /// - Parameter threads: those that compute.
    package func addressBytes(threads: Int) -> Int {
        let mapped = reserved.filter { [.runtime, .tables, .tokenizer, .trace].contains($0.purpose) }
        let stacks = (threads +| Self.otherThreads) *| Self.stackBytes
        return total - pageTableBytes - mapped.total +| readingAddressBytes +| stacks +| Self.roomBytes
    }

    /// Addresses that reading the file takes, beyond the plan's bytes.
    package var readingAddressBytes: Int {
        // Where all chunks are pinned, slots have addresses in case some leave.
        let slots = slotCount > 0 ? 0 : Self.preferredSlotCount *| slotBytes
        return slots +| RequestShape.suited().depth *| Self.stackBytes
    }

    /// Engine, signals, pressure, an interruption.
    private static let otherThreads = 5
    /// With the page that guards it.
    private static let stackBytes = (1 << 20) + PageMemory.pageBytes
    /// Two regions begin at a huge page's boundary; the heap grows.
    private static let roomBytes = 8 << 20
}
