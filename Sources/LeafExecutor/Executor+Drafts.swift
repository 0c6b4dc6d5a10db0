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

/// What rejected drafts leave behind: nothing.
extension Executor {
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
            for (index, heads) in facts.attentions(in: blocks).enumerated() {
                for head in 0..<heads.keyHeads {
                    let page = cache.page(
                        pages[first / Demand.pageKeys], offset: cache.offset(attention: index, head: head))
                    for place in places {
                        kernels.floats.cache_store(
                            cache.precision.kernelType, heads.dimHead, nothing, nothing, page, place % Demand.pageKeys)
                    }
                }
            }
        }
    }
}
