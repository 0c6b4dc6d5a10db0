
/// Where every byte of the budget goes, decided before anything is allocated.
///
/// Pure: the same input gives the same plan. What the reserved parts leave goes to pinned chunks, spread evenly over the
/// sweep so that their compute hides the reads of the others.
public struct MemoryPlan: Sendable, Equatable {
    /// Bytes that do not depend on the weights' residency.
    public struct Reserved: Sendable, Equatable {
        /// Executable, libraries, stacks, page tables, header.
        public var runtime: Int
        public var tokenizer: Int
        /// Norms, position bias, segment and prompt rows, row scales.
        public var resident: Int
        public var kv: Int
        /// Row buffers of the forward pass, logits.
        public var scratch: Int

        public init(runtime: Int, tokenizer: Int, resident: Int, kv: Int, scratch: Int) {
            self.runtime = runtime
            self.tokenizer = tokenizer
            self.resident = resident
            self.kv = kv
            self.scratch = scratch
        }

        public var total: Int { runtime + tokenizer + resident + kv + scratch }
    }

    public let budget: Int
    public let reserved: Reserved
    /// Bytes of one slot: the room that the largest streamed chunk needs.
    public let slotBytes: Int
    public let slotCount: Int
    /// Indices of the chunks that never leave, ascending.
    public let pinnedChunks: [Int]
    public let pinnedBytes: Int
    /// The smallest budget that works for the same reserved parts.
    public let minimum: Int

    public var slotsBytes: Int { slotBytes * slotCount }
    /// Everything that is planned; at most `budget`.
    public var total: Int { reserved.total + slotsBytes + pinnedBytes }
}
