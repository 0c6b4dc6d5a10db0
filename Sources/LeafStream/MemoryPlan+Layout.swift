import LeafSystem

extension MemoryPlan {
    /// Places of a sweep in an order whose every prefix is spread evenly over it.
    package static func spread(_ places: Range<Int>) -> [Int] { Layout.spread(Array(places)) }
}

/// How chunks share the memory that the reserved parts leave: slots of one size, and pinned chunks.
struct Layout {
    var slotBytes: Int
    var slotCount: Int
    var isPinned: [Bool]
    var pinnedBytes: Int

    var bytes: Int { pinnedBytes +| slotBytes * slotCount }

    static let minimumSlotCount = 2

    /// The smallest layout: two slots, or none.
    ///
    /// A slot must hold the largest streamed chunk. So a few unusually large chunks cost less if they are pinned than
    /// if every slot has room for them. This tries every size of a slot, with all larger chunks pinned.
    static func smallest(for needs: [Int]) -> Layout {
        let descending = needs.sorted(by: >)
        let everything = needs.reduce(0, +|)
        var best = (bytes: everything, slotBytes: 0)
        var larger = 0
        var first = 0
        while first < descending.count {
            let size = descending[first]
            let cost = larger +| size +| size
            // More slots than streamed chunks less one would cost as much as pinning them all.
            if descending.count - first > minimumSlotCount, cost < best.bytes { best = (cost, size) }
            var next = first
            while next < descending.count, descending[next] == size {
                larger +|= size
                next += 1
            }
            first = next
        }
        let isPinned = needs.map { $0 > best.slotBytes }
        return Layout(
            slotBytes: best.slotBytes, slotCount: best.slotBytes > 0 ? minimumSlotCount : 0, isPinned: isPinned,
            pinnedBytes: best.bytes - 2 * best.slotBytes)
    }

    /// This layout with more chunks pinned, whatever room there is.
    func pinning(_ chunks: [Int], needs: [Int]) -> Layout {
        var layout = self
        for index in chunks where !layout.isPinned[index] {
            layout.isPinned[index] = true
            layout.pinnedBytes +|= needs[index]
        }
        // As many slots as there are chunks left to stream would cost as much as pinning these.
        guard slotCount > 0, layout.isPinned.count(where: { !$0 }) <= Self.minimumSlotCount else { return layout }
        return Layout(
            slotBytes: slotBytes, slotCount: 0, isPinned: needs.map { _ in true }, pinnedBytes: needs.reduce(0, +|))
    }

    /// Extends this layout to `room` bytes: everything pinned if that fits, otherwise first slots up to the preferred
    /// count, then pinned chunks.
    ///
    /// A larger room pins all that a smaller one pins, except for the last few chunks.
    func grown(to room: Int, needs: [Int]) -> Layout {
        var layout = self
        let everything = needs.reduce(0, +|)
        guard slotCount > 0, everything > room else {
            return Layout(
                slotBytes: slotBytes, slotCount: 0, isPinned: needs.map { _ in true }, pinnedBytes: everything)
        }
        let streamed = isPinned.indices.filter { !isPinned[$0] }
        layout.slotCount = min(
            (room - pinnedBytes) / slotBytes, MemoryPlan.preferredSlotCount, streamed.count - 1)
        var left = room - layout.bytes
        for index in Self.spread(streamed) where needs[index] <= left {
            layout.isPinned[index] = true
            layout.pinnedBytes += needs[index]
            left -= needs[index]
        }
        return layout
    }

    /// Chunks in the order of `index * golden ratio mod 1`.
    ///
    /// Every prefix of that order is spread evenly over the sweep (three-gap theorem: distances between neighbours have
    /// 3 lengths at most). So the pinned set can grow and shrink without moving weights. BMInf's rule, equal distances
    /// for one given count of equal layers, does not have this property.
    static func spread(_ chunks: [Int]) -> [Int] {
        let goldenRatio: UInt64 = 0x9E37_79B9_7F4A_7C15
        return chunks.sorted { UInt64($0) &* goldenRatio < UInt64($1) &* goldenRatio }
    }
}
