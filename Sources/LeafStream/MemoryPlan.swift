public import LeafFormat

/// Where every byte of the budget goes, decided before anything is allocated.
///
/// Pure: the same input gives the same plan. What the reserved parts and the slots leave goes to pinned chunks, spread
/// evenly over the sweep so that their compute hides the reads of the others.
public struct MemoryPlan: Sendable, Equatable {
    /// Bytes that do not depend on the weights' residency.
    public struct Reserved: Sendable, Equatable {
        /// Executable, libraries, stacks, header: `MemoryPlan.runtimeBytes`.
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

        /// `Int.max` when it is more than that: such a plan is refused, not a trap.
        public var total: Int { [runtime, tokenizer, resident, kv, scratch].reduce(0, saturatingSum) }
    }

    /// Slots that a plan has when the budget allows: of chunks of 2 MiB two or three are being read, one is in use, and the
    /// others let reading go on while something else is computed.
    public static let preferredSlotCount = 6

    public let budget: Int
    public let reserved: Reserved
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
    /// - Throws: `.budget` naming the smallest budget that works.
    public init(
        budget: Int, isGiven: Bool = true, chunks: [Chunk], reserved: Reserved
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

extension MemoryPlan: CustomStringConvertible {
    /// One line for each part, as `leafcutter plan` prints it.
    public var description: String {
        let slots =
            slotCount == 0
            ? "everything is resident"
            : "\(slotCount) of \(slotBytes.sizeText); \(streamedBytesPerSweep.sizeText) read a sweep"
        let lines: [(name: String, bytes: Int, note: String)] = [
            ("runtime", reserved.runtime + pageTableBytes, "program, libraries, stacks, page tables"),
            ("tokenizer", reserved.tokenizer, ""),
            ("resident", reserved.resident, "norms, scales, position bias"),
            ("kv cache", reserved.kv, ""),
            ("scratch", reserved.scratch, "rows on a sweep"),
            ("slots", slotsBytes, slots),
            ("pinned", pinnedBytes, "\(pinnedChunks.count) of \(chunkCount) chunks"),
            (
                "planned", total,
                "of \(budget.sizeText); the smallest budget is \(wholeMebibytes(holding: minimum))"
            ),
        ]
        return lines.map { line in
            let amount = line.bytes.sizeText
            let columns = pad(line.name, to: 10) + String(repeating: " ", count: max(0, 11 - amount.count)) + amount
            return line.note.isEmpty ? columns : columns + "   " + line.note
        }.joined(separator: "\n")
    }

    private func pad(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
