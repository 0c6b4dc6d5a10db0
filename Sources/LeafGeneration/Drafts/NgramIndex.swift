import LeafSystem

/// The last tokens before a place, the newest first; -1 where there are none.
package struct NgramContext: Sendable {
    /// Tokens that are told apart. Longer repetitions are as good as certain.
    package static let longest = 16

    package private(set) var tokens = SIMD16<Int32>(repeating: -1)

    package init() {}

    /// - Parameter newestFirst: with -1 where there are none.
    fileprivate init(newestFirst: SIMD16<Int32>) { tokens = newestFirst }

    package mutating func append(_ token: Int32) {
        for lane in (1..<Self.longest).reversed() { tokens[lane] = tokens[lane - 1] }
        tokens[0] = token
    }
}

/// All places of a text, or of several, in the order of the tokens before them, the newest token first.
///
/// So the places behind a run of tokens are neighbours, and those behind a longer run are a part of them. A suffix
/// automaton finds the same places in fewer steps, and takes ten times the memory. Steps are cheap beside a sweep, and
/// memory is not.
package struct NgramIndex: Sendable {
    private var tokens: [Int32] = []
    private var places: [Int32] = []
    /// For each token the place of the one before it in its text, -1 for the first; empty for a single text.
    private var previous: [Int32] = []
    private let holdsManyTexts: Bool
    private let limit: Int

    /// An empty index that grows up to a limit, and then stays as it is.
    ///
    /// - Parameters:
    ///   - limit: memory for so many tokens is taken here, and none later.
    ///   - holdsManyTexts: whether tokens of several texts come by turns.
    package init(limit: Int, holdsManyTexts: Bool = false) {
        self.limit = limit
        self.holdsManyTexts = holdsManyTexts
        tokens.reserveCapacity(limit)
        places.reserveCapacity(limit)
        if holdsManyTexts { previous.reserveCapacity(limit) }
    }

    /// An index of a whole text, which does not grow.
    ///
    /// While it is built it takes `buildingBytes`.
    package init(of tokens: [Int32]) {
        self.tokens = tokens
        holdsManyTexts = false
        limit = tokens.count
        places = Array(0..<Int32(tokens.count))
        tokens.withUnsafeBufferPointer { tokens in
            places.sort { Self.precedes(Int($0), Int($1), in: tokens) }
        }
    }

    /// Bytes of an index, for the memory plan.
    package static func byteCount(tokens: Int, holdsManyTexts: Bool = false) -> Int {
        tokens *| ((holdsManyTexts ? 3 : 2) * MemoryLayout<Int32>.stride)
    }

    /// Bytes while an index of a whole text is built: sorting needs half of the places once more.
    package static func buildingBytes(tokens: Int) -> Int { tokens *| (5 * MemoryLayout<Int32>.stride / 2) }

    package var count: Int { tokens.count }
    var isFull: Bool { tokens.count >= limit }

    /// Forgets everything.
    mutating func removeAll() {
        tokens.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
        previous.removeAll(keepingCapacity: true)
    }

    /// Takes the next token of the one text, unless the index is full.
    package mutating func append(_ token: Int32) {
        precondition(!holdsManyTexts)
        append(token, after: tokens.count - 1)
    }

    /// Takes the next token of a text, unless the index is full.
    ///
    /// - Parameter last: the place of the token before it; -1 for the first one.
    /// - Returns: its place; -1 if the index is full.
    @discardableResult
    package mutating func append(_ token: Int32, after last: Int) -> Int {
        let place = tokens.count
        guard place < limit else { return -1 }
        let context = context(upTo: last)
        let rank = firstRank { compare($0, context, length: NgramContext.longest) > 0 }
        tokens.append(token)
        if holdsManyTexts { previous.append(Int32(last)) }
        places.insert(Int32(place), at: rank)
        return place
    }

    /// The last tokens of a text up to a place; -1 for none.
    private func context(upTo last: Int) -> NgramContext {
        var context = SIMD16<Int32>(repeating: -1)
        var place = last
        for lane in 0..<NgramContext.longest where place >= 0 {
            context[lane] = tokens[place]
            place = before(place)
        }
        return NgramContext(newestFirst: context)
    }

    /// The place before another one in its text, -1 before the first.
    private func before(_ place: Int) -> Int { holdsManyTexts ? Int(previous[place]) : place - 1 }

    /// The length of the longest run before any place that ends a context.
    package func longestMatch(_ context: NgramContext) -> Int {
        let rank = firstRank { compare($0, context, length: NgramContext.longest) >= 0 }
        return max(commonLength(rank - 1, context), commonLength(rank, context))
    }

    /// The ranks of the places behind the last `length` tokens of a context. They are at most `longestMatch`.
    package func ranks(after context: NgramContext, length: Int) -> Range<Int> {
        let first = firstRank { compare($0, context, length: length) >= 0 }
        return first..<max(first, firstRank { compare($0, context, length: length) > 0 })
    }

    /// The token at a rank.
    package func token(at rank: Int) -> Int32 { tokens[Int(places[rank])] }

    /// The first rank with a property that all later ones have too.
    private func firstRank(where isBehind: (_ rank: Int) -> Bool) -> Int {
        var ranks = 0..<places.count
        while let middle = ranks.middle {
            ranks = isBehind(middle) ? ranks.lowerBound..<middle : middle + 1..<ranks.upperBound
        }
        return ranks.lowerBound
    }

    /// Below 0 if the place comes before the context, above 0 if behind it, 0 if their last tokens are equal.
    private func compare(_ rank: Int, _ context: NgramContext, length: Int) -> Int {
        var place = before(Int(places[rank]))
        for lane in 0..<length {
            let token = place >= 0 ? tokens[place] : -1
            let other = context.tokens[lane]
            if token != other { return token < other ? -1 : 1 }
            if place >= 0 { place = before(place) }
        }
        return 0
    }

    /// Tokens that end the context and stand before the place at a rank; 0 where there is no such rank.
    private func commonLength(_ rank: Int, _ context: NgramContext) -> Int {
        guard places.indices.contains(rank) else { return 0 }
        var place = before(Int(places[rank]))
        var length = 0
        while length < NgramContext.longest, place >= 0, tokens[place] == context.tokens[length] {
            length += 1
            place = before(place)
        }
        return length
    }

    private static func precedes(_ a: Int, _ b: Int, in tokens: UnsafeBufferPointer<Int32>) -> Bool {
        for lane in 0..<NgramContext.longest {
            let first = a > lane ? tokens[a - 1 - lane] : -1
            let second = b > lane ? tokens[b - 1 - lane] : -1
            if first != second { return first < second }
        }
        return a < b
    }
}

extension Range<Int> {
    fileprivate var middle: Int? { isEmpty ? nil : lowerBound + count / 2 }
}
