public import LeafFormat

/// Where every byte of the budget goes, decided before anything is allocated.
///
/// Pure: the same input gives the same plan. What the reserved parts and the slots leave goes to pinned chunks, spread
/// evenly over the sweep so that their compute hides the reads of the others.
public struct MemoryPlan: Sendable, Equatable {
    /// Slots that a plan has when the budget allows: of chunks of 2 MiB two or three are being read, one is in use, and the
    /// others let reading go on while something else is computed.
    public static let preferredSlotCount = 6

    public let budget: Int
    /// Parts that do not depend on the weights' residency; page tables are not among them.
    public let reserved: [Part]
    /// Bytes of one slot, a multiple of 4096: the room that the largest streamed chunk needs, also where none is.
    public let slotBytes: Int
    /// Zero when everything is pinned, at least 2 otherwise, and always fewer than there are streamed chunks.
    public let slotCount: Int
    /// Indices of the chunks that never leave, ascending.
    public let pinnedChunks: [Int]
    /// Room for the pinned chunks, each rounded up to 4096.
    public let pinnedBytes: Int
    /// All chunks of the model, and what one sweep reads once the pinned ones are there.
    public let chunkCount: Int
    public let streamedBytesPerSweep: Int
    /// The smallest budget that works for the same reserved parts.
    public let minimum: Int

    public var slotsBytes: Int { slotBytes * slotCount }
    /// What the kernel's tables for all the rest take; part of the runtime's share.
    public var pageTableBytes: Int { Self.pageTableBytes(for: reserved.total + slotsBytes + pinnedBytes) }
    /// Everything that is planned; at most `budget`.
    public var total: Int { reserved.total + slotsBytes + pinnedBytes + pageTableBytes }

    /// - Parameters:
    ///   - budget: bytes for the whole process.
    ///   - isGiven: whether somebody asked for just that, for the message; else the machine has no more.
    ///   - chunks: the model's chunks in sweep order.
    ///   - reserved: everything but slots and pinned chunks.
    /// - Throws: `.budget` naming the smallest budget that works.
    public init(
        budget: Int, isGiven: Bool = true, chunks: [Chunk], reserved: [Part]
    ) throws(LeafError) {
        let needs = chunks.map(\.slotBytes)
        let layout = Layout.smallest(for: needs)
        let least = saturatingSum(reserved.total, layout.bytes)
        minimum = saturatingSum(least, Self.pageTableBytes(for: least))
        guard budget >= minimum else {
            let smallest = wholeMebibytes(holding: minimum)
            let offer =
                isGiven ? "you gave \(budget.sizeText)" : "this machine (or container) has \(budget.sizeText) to give"
            throw LeafError(
                .budget,
                "this model needs at least \(smallest) here, \(offer)",
                advice: .memory(bytes: minimum.units(of: 1 << 20) *| (1 << 20)))
        }
        let fit = layout.grown(to: Self.mappable(budget) - reserved.total, needs: needs)
        self.budget = budget
        self.reserved = reserved
        slotBytes = fit.slotBytes
        slotCount = fit.slotCount
        pinnedChunks = fit.isPinned.indices.filter { fit.isPinned[$0] }
        pinnedBytes = fit.pinnedBytes
        chunkCount = chunks.count
        streamedBytesPerSweep = chunks.indices.reduce(0) { fit.isPinned[$1] ? $0 : $0 + chunks[$1].paddedBytes }
    }
}
