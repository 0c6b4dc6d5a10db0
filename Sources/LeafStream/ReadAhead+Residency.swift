internal import LeafFormat
internal import Synchronization

/// Chunks leave memory and come back while the store runs, without a consumer noticing.
extension ReadAhead {
    /// Carries out what is wanted, as far as that is possible now. Call it while no consumer holds or waits for a chunk.
    ///
    /// A chunk changes its kind only outside of the stretch that the readers have prepared for the consumers, so whoever
    /// asks for a chunk finds it, or its read still to come. What lies inside is left for a later call.
    func settleResidency() {
        guard let target = residency.change else { return }
        let consumed = consumed
        let isDone = monitor.withLock { state -> Bool in
            if state.failure != nil || state.isPaused { return true }
            let position = chunks.isEmpty ? 0 : consumed % chunks.count
            // Readers without work leave the cursor behind.
            while state.passed < consumed, state.open == nil, state.isPinned[state.cursor],
                !state.isUnclaimed[state.cursor]
            {
                advance(&state)
            }
            let prepared = state.passed - consumed
            guard prepared >= 0 else { return false }
            func isPrepared(_ chunk: Int) -> Bool {
                let distance = chunk - position
                return (distance < 0 ? distance + chunks.count : distance) < prepared
            }

            var leaving: [Int] = []
            var entering: [Int] = []
            var bytes = 0
            var isComplete = true
            for chunk in residency.order {
                bytes += chunks[chunk].slotBytes
                let isWanted = bytes <= target
                if isWanted == state.isPinned[chunk] { continue }
                if isPrepared(chunk) {
                    isComplete = false
                } else if isWanted {
                    entering.append(chunk)
                } else {
                    leaving.append(chunk)
                }
            }
            enter(entering, &state)
            return leave(leaving, &state) && isComplete
        }
        if isDone { residency.settle(target) }
        monitor.wakeAll(.work)
    }

    /// Bytes of the chunks that do not stay in memory.
    var streamedBytesPerSweep: Int {
        monitor.withLock { state in
            chunks.indices.reduce(0) { state.isPinned[$1] ? $0 : $0 + chunks[$1].paddedBytes }
        }
    }

    /// - Returns: false to try again later.
    private func leave(_ leaving: [Int], _ state: inout State) -> Bool {
        if leaving.isEmpty { return true }
        if state.occupants.isEmpty {
            // Nothing was streamed so far: the first to leave make room for the slots.
            let freed = leaving.reduce(0) { $0 + chunks[$1].slotBytes }
            let slotCount = min(MemoryPlan.preferredSlotCount, freed / residency.slotBytes, leaving.count - 1)
            guard slotCount >= Layout.minimumSlotCount else { return false }
            state.occupants = Array(repeating: nil, count: slotCount)
            state.freeSlots = Array(0..<slotCount)
        }
        for chunk in leaving {
            if state.isUnclaimed[chunk] {
                state.isUnclaimed[chunk] = false
                state.unclaimedPinned -= 1
            } else {
                states[chunk].address.store(0, ordering: .relaxed)
                loader.unpin(chunk)
            }
            state.isPinned[chunk] = false
            state.streamedCount += 1
        }
        return true
    }

    /// What finds no room beside the slots stays outside.
    private func enter(_ entering: [Int], _ state: inout State) {
        let slotsBytes = residency.borrowsSlots ? state.occupants.count * residency.slotBytes : 0
        var pinned = residency.order.reduce(0) { state.isPinned[$1] ? $0 + chunks[$1].slotBytes : $0 }
        for chunk in entering {
            // Slots that came out of pinned memory stay, and more chunks than slots are streamed, or none.
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
