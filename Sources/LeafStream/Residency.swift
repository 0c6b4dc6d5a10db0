internal import LeafFormat
internal import Synchronization

/// How much of the model is meant to stay in memory, changed at any time: what somebody asks for, at most what others
/// leave room for.
final class Residency: Sendable {
    /// Chunks that may leave memory, in order: the last chunk leaves first.
    let order: [Int]
    /// Bytes of the chunks in `order`: the most that may be pinned.
    let maximum: Int
    /// Bytes that a streamed chunk needs.
    let slotBytes: Int
    /// Whether slots, if they are needed, take memory that was planned for pinned chunks.
    let borrowsSlots: Bool
    // Each is written by one side alone, so that neither undoes what the other said.
    private let asked: Atomic<Int>
    private let allowed: Atomic<Int>
    /// The last value that was carried out.
    private let settled: Atomic<Int>

    /// - Parameters:
    ///   - pinned: the plan's pinned chunks, by their indices in the file.
    ///   - lent: those of them with which a second model computes; they leave last.
    init(_ plan: MemoryPlan, _ chunks: [Chunk], pinned: [Int], lent: Set<Int>) {
        // A chunk that no slot can hold stays.
        let movable = pinned.filter { chunks[$0].slotBytes <= plan.slotBytes }
        order = movable.filter(lent.contains) + Layout.spread(movable.filter { !lent.contains($0) })
        maximum = movable.reduce(0) { $0 + chunks[$1].slotBytes }
        slotBytes = plan.slotBytes
        borrowsSlots = plan.slotCount == 0
        asked = Atomic(maximum)
        allowed = Atomic(maximum)
        settled = Atomic(maximum)
    }

    var askedBytes: Int { asked.load(ordering: .relaxed) }
    func ask(for bytes: Int) { asked.store(min(max(0, bytes), maximum), ordering: .relaxed) }
    func allow(_ bytes: Int) { allowed.store(min(max(0, bytes), maximum), ordering: .relaxed) }

    /// What is meant to stay: what was asked for, as far as it is allowed.
    var wantedBytes: Int { min(askedBytes, allowed.load(ordering: .relaxed)) }

    /// The wanted value, if it has not been carried out yet.
    var change: Int? {
        let wanted = wantedBytes
        return wanted == settled.load(ordering: .relaxed) ? nil : wanted
    }
    func settle(_ bytes: Int) { settled.store(bytes, ordering: .relaxed) }
}
