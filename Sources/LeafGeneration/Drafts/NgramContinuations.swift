/// What came behind a run of tokens, and how probable that makes each of it.
package struct NgramContinuations: Sendable {
    private struct Continuation {
        let token: Int32
        var count = 0.0
        var probability = 0.0
    }

    /// Different tokens at most. Where there are more, none of them is probable.
    private static let mostTokens = 64
    /// Places of a run that are looked at. Where there are more, as many are taken evenly.
    private static let mostPlaces = 256
    /// Runs of different lengths whose continuations are mixed.
    private static let mostRuns = 4

    private var continuations: [Continuation] = []

    package init() { continuations.reserveCapacity(Self.mostTokens) }

    package static let byteCount = mostTokens * MemoryLayout<Continuation>.stride

    /// Finds the continuations of the runs that end a context, in several indices together.
    ///
    /// The estimate is that of Witten and Bell, "The zero-frequency problem" (1991): where a run had `n` continuations,
    /// `u` different ones, the shorter run counts as `u` more.
    ///
    /// - Returns: the length of the longest run; 0 if there is none.
    package mutating func find(after context: NgramContext, in indices: [NgramIndex]) -> Int {
        continuations.removeAll(keepingCapacity: true)
        let longest = indices.reduce(0) { max($0, $1.longestMatch(context)) }
        mix(context, indices, length: longest, runs: Self.mostRuns, placesOfLonger: 0)
        return longest
    }

    /// Mixes the continuations of shorter runs first, then those of this one.
    private mutating func mix(
        _ context: NgramContext, _ indices: [NgramIndex], length: Int, runs: Int, placesOfLonger: Int
    ) {
        guard length > 0, runs > 0 else { return }
        let ranks = indices.map { $0.ranks(after: context, length: length) }
        let places = ranks.reduce(0) { $0 + $1.count }
        // A shorter run at the same places says nothing more.
        let isNew = places > placesOfLonger
        mix(context, indices, length: length - 1, runs: isNew ? runs - 1 : runs, placesOfLonger: places)
        guard isNew else { return }
        for index in continuations.indices { continuations[index].count = 0 }
        for (index, ranks) in zip(indices, ranks) { count(ranks, of: index) }
        let different = Double(continuations.count { $0.count > 0 })
        for index in continuations.indices {
            let shorter = different * continuations[index].probability
            continuations[index].probability = (continuations[index].count + shorter) / (Double(places) + different)
        }
    }

    private mutating func count(_ ranks: Range<Int>, of index: NgramIndex) {
        let looks = min(ranks.count, Self.mostPlaces)
        for look in 0..<looks {
            let token = index.token(at: ranks.lowerBound + look * ranks.count / looks)
            let weight = Double(ranks.count) / Double(looks)
            if let place = continuations.firstIndex(where: { $0.token == token }) {
                continuations[place].count += weight
            } else if continuations.count < Self.mostTokens {
                continuations.append(Continuation(token: token, count: weight))
            }
        }
    }

    /// Takes the most probable continuation out; of equal ones that with the smaller id.
    package mutating func popMostProbable() -> (token: Int32, probability: Double)? {
        let best = continuations.indices.max { first, second in
            let (a, b) = (continuations[first], continuations[second])
            return a.probability < b.probability || (a.probability == b.probability && a.token > b.token)
        }
        guard let best else { return nil }
        let continuation = continuations[best]
        continuations.swapAt(best, continuations.count - 1)
        continuations.removeLast()
        return (continuation.token, continuation.probability)
    }
}
