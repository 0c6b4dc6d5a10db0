package import LeafFormat
package import LeafSystem

/// The use of every byte of the budget, decided before anything is allocated.
///
/// The same input gives the same plan. Memory that the reserved parts and the slots leave goes to pinned chunks. These
/// are spread evenly over the sweep, so that computing with them hides the reads of the others.
public struct MemoryPlan: Sendable, Equatable {
    /// The number of slots that a plan has if the budget allows: with chunks of 2 MiB two or three are being read, one
    /// is in use, and the others let reading continue while something else is computed.
    public static let preferredSlotCount = 6
    /// What programs can address on the usual machines. Nobody is told to give more.
    private static let mostOfAnyMachine = 1 << 47

    public let budget: Int
    /// Whether somebody asked for this budget; otherwise it is what the machine has to give.
    package let isGiven: Bool
    /// What the plan is made for, in the words of its maker: `512 tokens`.
    package let contents: String?
    /// Parts that do not depend on the weights' residency; page tables are not among them.
    public let reserved: [Part]
    /// Bytes of one slot, a multiple of 4096: the memory that the largest streamed chunk needs, even if no chunk is
    /// streamed.
    public let slotBytes: Int
    /// Zero if everything is pinned, otherwise at least 2 and fewer than there are streamed chunks.
    public let slotCount: Int
    /// Indices of the chunks that never leave, ascending.
    public let pinnedChunks: [Int]
    /// Those of them with which a second model computes as well, ascending. They are the last to leave if memory has to
    /// be given back.
    package let lentChunks: [Int]
    /// Chunks that are neither in memory nor read, because nobody asks for them.
    package let absentChunks: Set<Int>
    /// Bytes for the pinned chunks, each rounded up to 4096.
    public let pinnedBytes: Int
    /// The number of chunks of the model.
    public let chunkCount: Int
    /// Bytes that one sweep reads once the pinned chunks are in memory.
    public let streamedBytesPerSweep: Int
    /// The smallest budget that works with the same files and reserved parts.
    public let minimum: Int

    public var slotsBytes: Int { slotBytes * slotCount }
    /// Bytes of the kernel's page tables for everything else; part of the runtime's share.
    public var pageTableBytes: Int { Self.pageTableBytes(for: reserved.total + slotsBytes + pinnedBytes) }
    /// The sum of all parts; at most `budget`.
    public var total: Int { reserved.total + slotsBytes + pinnedBytes + pageTableBytes }

    /// - Parameters:
    ///   - budget: bytes for the whole process.
    ///   - isGiven: true if the user asked for this budget, false if the machine has no more.
    ///   - least: bytes that were taken before there was a plan, at their most; no smaller budget works.
    ///   - contents: what the plan is made for, for its sentences; nil where nobody asks.
    ///   - chunks: the model's chunks in sweep order.
    ///   - lent: chunks that are pinned before any other, ascending, because a second model computes with them as well.
    ///   - absent: chunks that nobody asks for.
    ///   - reserved: everything but slots and pinned chunks.
    /// - Throws: `.budget` with the smallest budget that works.
    package init(
        budget: Int, isGiven: Bool = true, atLeast least: Int = 0, for contents: String? = nil, chunks: [Chunk],
        lending lent: [Int] = [], leavingOut absent: Set<Int> = [], reserved: [Part]
    ) throws(LeafError) {
        let needs = chunks.indices.map { absent.contains($0) ? 0 : chunks[$0].slotBytes }
        let layout = Layout.smallest(for: needs).pinning(lent, needs: needs)
        let planned = reserved.total +| layout.bytes
        minimum = max(least, planned +| Self.pageTableBytes(for: planned))
        // A sum that fits no number is more than any budget.
        guard budget >= minimum, planned < .max else {
            let smallest = minimum.roundedUpText
            let use = contents.map { "for \($0)" } ?? "here"
            let offer =
                isGiven ? "you gave \(budget.sizeText)" : "this machine (or container) has \(budget.sizeText) to give"
            guard minimum <= Self.mostOfAnyMachine else {
                throw LeafError(
                    .budget, "this model would need more memory \(use) than any machine has; open it for less")
            }
            throw LeafError(
                .budget,
                "this model needs at least \(smallest) \(use), \(offer)",
                advice: .memory(bytes: minimum.wholeMebibytes))
        }
        let fit = layout.grown(to: Self.mappable(budget) - reserved.total, needs: needs)
        (self.budget, self.isGiven) = (budget, isGiven)
        self.contents = contents
        self.reserved = reserved
        slotBytes = fit.slotBytes
        slotCount = fit.slotCount
        pinnedChunks = fit.isPinned.indices.filter { fit.isPinned[$0] && !absent.contains($0) }
        lentChunks = lent
        absentChunks = absent
        pinnedBytes = fit.pinnedBytes
        chunkCount = chunks.count
        streamedBytesPerSweep = chunks.indices.reduce(0) {
            fit.isPinned[$1] || absent.contains($1) ? $0 : $0 + chunks[$1].paddedBytes
        }
    }
}
