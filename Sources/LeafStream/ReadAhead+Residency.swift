import LeafFormat
import LeafSystem
internal import Synchronization

/// Lets chunks leave memory and come back while the store runs, unnoticed by consumers.
extension ReadAhead {
    /// Carries out the wanted residency, as far as that is possible now. Call it while no consumer holds or waits for a
    /// chunk.
    ///
    /// A chunk changes its kind only outside of the positions that the readers have prepared for the consumers, so
    /// whoever asks for a chunk finds it, or its read still to come. What lies inside is left for a later call.
    func settleResidency() {
        guard let target = residency.change else { return }
        let consumed = consumed
        var unpinned: [Int] = []
        let isDone = monitor.withLock { state -> Bool in
            if state.failure != nil || state.isPaused { return true }
            // Readers that have no work leave the cursor behind; move it.
            while state.cursor < consumed, state.open == nil, isThere(order.chunk(at: state.cursor), state) {
                state.cursor += 1
            }
            guard state.cursor >= consumed else { return false }
            let change = change(to: target, outside: consumed..<state.cursor, state)
            enter(change.entering, &state)
            guard let left = leave(change.leaving, &state) else { return false }
            unpinned = left
            return change.isComplete
        }
        // Without the lock: giving memory back takes the kernel its time.
        for chunk in unpinned { loader.unpin(chunk) }
        if isDone { residency.settle(target) }
        monitor.wakeAll(.work)
    }

    private func isThere(_ chunk: Int, _ state: State) -> Bool { state.isPinned[chunk] && !state.isUnclaimed[chunk] }

    /// Bytes of the chunks that are streamed.
    var streamedBytesPerSweep: Int {
        monitor.withLock { state in
            order.chunks.reduce(0) { state.isPinned[$1] ? $0 : $0 + chunks[$1].paddedBytes }
        }
    }

    private struct Change {
        var entering: [Int] = []
        var leaving: [Int] = []
        /// Whether none of the prepared positions is in the way.
        var isComplete = true
    }

    private func change(to target: Int, outside prepared: Range<Int>, _ state: State) -> Change {
        var change = Change()
        var bytes = 0
        for chunk in residency.order {
            bytes += chunks[chunk].slotBytes
            let isWanted = bytes <= target
            if isWanted == state.isPinned[chunk] { continue }
            if order.next(chunk, from: prepared.lowerBound) < prepared.upperBound {
                change.isComplete = false
            } else if isWanted {
                change.entering.append(chunk)
            } else {
                change.leaving.append(chunk)
            }
        }
        return change
    }

    /// - Returns: those of the chunks whose memory is to be given back; nil to try again later.
    private func leave(_ leaving: [Int], _ state: inout State) -> [Int]? {
        if leaving.isEmpty { return [] }
        if state.occupants.isEmpty {
            // Nothing was streamed before: the first chunks that leave make room for slots.
            let freed = leaving.reduce(0) { $0 + chunks[$1].slotBytes }
            let slotCount = min(MemoryPlan.preferredSlotCount, freed / residency.slotBytes, leaving.count - 1)
            guard slotCount >= Layout.minimumSlotCount else { return nil }
            state.occupants = Array(repeating: nil, count: slotCount)
            state.freeSlots = Array(0..<slotCount)
        }
        var unpinned: [Int] = []
        for chunk in leaving {
            if state.isUnclaimed[chunk] {
                state.isUnclaimed[chunk] = false
                state.unclaimedPinned -= 1
            } else {
                states[chunk].address.store(0, ordering: .relaxed)
                unpinned.append(chunk)
            }
            state.isPinned[chunk] = false
            state.streamedCount += 1
        }
        return unpinned
    }

    /// Pins as many of `entering` as fit beside the slots; the rest stay streamed.
    private func enter(_ entering: [Int], _ state: inout State) {
        let slotsBytes = residency.borrowsSlots ? state.occupants.count * residency.slotBytes : 0
        var pinned = residency.order.reduce(0) { state.isPinned[$1] ? $0 + chunks[$1].slotBytes : $0 }
        for chunk in entering {
            // Slots that were made from pinned memory stay. Either no chunk is streamed, or more chunks than there are
            // slots.
            guard pinned + chunks[chunk].slotBytes + slotsBytes <= residency.maximum,
                state.streamedCount - 1 > state.occupants.count
            else { break }
            pinned += chunks[chunk].slotBytes
            if let slot = state.occupants.firstIndex(of: chunk) { state.occupants[slot] = nil }
            state.isPinned[chunk] = true
            state.isUnclaimed[chunk] = true
            state.unclaimedPinned += 1
            state.streamedCount -= 1
        }
    }
}
