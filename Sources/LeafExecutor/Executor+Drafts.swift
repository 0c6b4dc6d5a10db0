import CLeafKernels
import LeafStream
import LeafSystem

extension Executor {
    /// Makes drafts for the next sweep, as an event of the timeline.
    ///
    /// - Parameter make: returns how many there are.
    package func tracingDrafts(_ make: () -> Int) {
        let begin = TraceRecorder.now(trace)
        let count = make()
        trace?.record(.draft, on: .steps, since: begin, count)
    }
}

/// What becomes of drafts: those that the text has taken are where they would be without the others, and the others
/// leave nothing behind.
extension Executor {
    /// Keeps some drafts of a sequence, and forgets the others.
    ///
    /// - Parameters:
    ///   - trunk: the number of places before the drafts.
    ///   - path: the places of the drafts that stay, each behind the one before it.
    package func settle(_ sequence: SequenceID, at trunk: Int, path: some Sequence<Int>) {
        var end = trunk
        for place in path {
            move(place, to: end, of: sequence)
            end += 1
        }
        retract(sequence, to: end)
        cache.endDrafts(of: sequence)
    }

    /// Writes the row of one place to another one, in the same lane, in front of it.
    private func move(_ place: Int, to target: Int, of sequence: SequenceID) {
        guard place != target else { return }
        precondition(target < place && (place - target) % Demand.pageKeys == 0)
        let lane = place % Demand.pageKeys
        cache.withPages(of: sequence) { pages in
            let (from, to) = (pages[place / Demand.pageKeys], pages[target / Demand.pageKeys])
            cache.positions(page: to)[lane] = cache.positions(page: from)[lane]
            cache.forEachHead { offset, dimHead in
                kernels.floats.cache_copy(
                    cache.precision.kernelType, dimHead, cache.page(from, offset: offset),
                    cache.page(to, offset: offset), lane)
            }
        }
    }

    /// Forgets a sequence's positions from `length` on, and clears their keys and values in the page that stays: its
    /// bytes are those of a sequence that never had them.
    package func retract(_ sequence: SequenceID, to length: Int) {
        let end = cache.length(of: sequence)
        guard length < end else { return }
        clear(length..<min(end, length.roundedUp(to: Demand.pageKeys)), of: sequence)
        cache.truncate(sequence, to: length)
    }

    /// Writes zeros to places that lie in one page.
    private func clear(_ places: Range<Int>, of sequence: SequenceID) {
        guard let first = places.first else { return }
        let nothing = scratch.zeros
        cache.withPages(of: sequence) { pages in
            cache.forEachHead { offset, dimHead in
                let page = cache.page(pages[first / Demand.pageKeys], offset: offset)
                for place in places {
                    kernels.floats.cache_store(
                        cache.precision.kernelType, dimHead, nothing, nothing, page, place % Demand.pageKeys)
                }
            }
        }
    }
}
