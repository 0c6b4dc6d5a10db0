/// Which way a sweep goes through the chunks of a store.
package enum SweepDirection: Sendable, Equatable {
    /// In file order.
    case forward
    /// From the last chunk to the first.
    case backward
}

/// The order in which chunks are read and used: sweeps over a range of a file's chunks, whose directions are a pattern
/// that repeats.
///
/// A *position* counts chunks in that order: 0 is the first chunk of the pattern's first sweep, and there is no last
/// one.
package struct SweepOrder: Sendable {
    /// Indices into the file's chunks.
    package let chunks: Range<Int>
    package let pattern: [SweepDirection]

    package init(chunks: Range<Int>, pattern: [SweepDirection]) {
        self.chunks = chunks
        self.pattern = pattern
    }

    /// Positions until the pattern begins again.
    package var period: Int { chunks.count * pattern.count }

    package func chunk(at position: Int) -> Int {
        let (sweep, index) = position.quotientAndRemainder(dividingBy: chunks.count)
        return chunk(index, of: sweep)
    }

    /// The first position from `position` on at which the chunk comes; every sweep has each chunk once.
    package func next(_ chunk: Int, from position: Int) -> Int {
        let sweep = position / chunks.count
        let here = sweep * chunks.count + index(of: chunk, in: sweep)
        return here >= position ? here : (sweep + 1) * chunks.count + index(of: chunk, in: sweep + 1)
    }

    /// Whether the sweep of this position goes the other way than the sweep before it, so that it begins with the
    /// chunks that were used last.
    package func isAfterTurn(_ position: Int) -> Bool {
        let sweep = position / chunks.count
        return sweep > 0 && direction(of: sweep) != direction(of: sweep - 1)
    }

    private func direction(of sweep: Int) -> SweepDirection { pattern[sweep % pattern.count] }

    private func chunk(_ index: Int, of sweep: Int) -> Int {
        switch direction(of: sweep) {
        case .forward: chunks.lowerBound + index
        case .backward: chunks.upperBound - 1 - index
        }
    }

    private func index(of chunk: Int, in sweep: Int) -> Int {
        switch direction(of: sweep) {
        case .forward: chunk - chunks.lowerBound
        case .backward: chunks.upperBound - 1 - chunk
        }
    }
}
