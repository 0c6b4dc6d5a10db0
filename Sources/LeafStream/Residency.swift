internal import LeafFormat
internal import Synchronization

/// How much of the model is meant to stay in memory: between what has to and what the plan gave, changed at any time.
final class Residency: Sendable {
    /// Chunks that may leave, those that leave last first.
    let order: [Int]
    /// Bytes of the chunks in `order`: what may be pinned at most.
    let maximum: Int
    /// Room that a streamed chunk needs.
    let slotBytes: Int
    /// Whether slots, once they are needed, come out of what was planned for pinned chunks.
    let borrowsSlots: Bool
    private let wanted: Atomic<Int>
    /// What was carried out last.
    private let settled: Atomic<Int>

    init(_ plan: MemoryPlan, _ chunks: [Chunk]) {
        // A chunk that no slot can hold stays.
        let movable = plan.pinnedChunks.filter { chunks[$0].slotBytes <= plan.slotBytes }
        order = Layout.spread(movable)
        maximum = movable.reduce(0) { $0 + chunks[$1].slotBytes }
        slotBytes = plan.slotBytes
        borrowsSlots = plan.slotCount == 0
        wanted = Atomic(maximum)
        settled = Atomic(maximum)
    }

    var wantedBytes: Int { wanted.load(ordering: .relaxed) }
    func want(bytes: Int) { wanted.store(min(max(0, bytes), maximum), ordering: .relaxed) }

    /// What is wanted, if that was not carried out yet.
    var change: Int? {
        let wanted = wanted.load(ordering: .relaxed)
        return wanted == settled.load(ordering: .relaxed) ? nil : wanted
    }
    func settle(_ bytes: Int) { settled.store(bytes, ordering: .relaxed) }
}
