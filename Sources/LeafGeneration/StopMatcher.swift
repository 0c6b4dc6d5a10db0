/// Finds stop strings in a text that arrives in pieces, and holds back text that may be the beginning of one.
///
/// The stop string that is complete first ends the text; of several that are complete at the same byte, the longest.
/// Texts are compared by Unicode scalars, without normalization.
package struct StopMatcher: Sendable {
    private var automata: [PrefixAutomaton]
    /// The end of the text so far that may become a stop string, in UTF-8.
    private var held: [UInt8] = []
    /// Whether a stop string was found. No more text follows then.
    package private(set) var hasStopped = false

    /// - Parameter stops: strings that are not empty, of fewer than 65,536 bytes.
    package init(_ stops: [String]) {
        automata = stops.map { PrefixAutomaton(Array($0.utf8)) }
    }

    /// The text that is certain after `piece`, without any part of a stop string.
    package mutating func append(_ piece: String) -> String {
        guard !hasStopped else { return "" }
        guard !automata.isEmpty else { return piece }
        for byte in piece.utf8 {
            held.append(byte)
            var longest = 0
            for index in automata.indices where automata[index].advance(byte) {
                longest = max(longest, automata[index].length)
            }
            if longest > 0 {
                hasStopped = true
                held.removeLast(longest)
                return take(held.count)
            }
        }
        return take(held.count - (automata.map(\.matched).max() ?? 0))
    }

    /// The text that was held back, once no more text follows.
    package mutating func finish() -> String {
        hasStopped ? "" : take(held.count)
    }

    private mutating func take(_ count: Int) -> String {
        defer { held.removeFirst(count) }
        return String(decoding: held.prefix(count), as: UTF8.self)
    }
}

/// The length of the longest prefix of one string that the text ends with (Knuth, Morris and Pratt).
private struct PrefixAutomaton: Sendable {
    private let pattern: [UInt8]
    /// For each length of a match, the length of the longest shorter match that ends at the same byte.
    private let fallback: [UInt16]
    private(set) var matched = 0

    var length: Int { pattern.count }

    init(_ pattern: [UInt8]) {
        precondition(!pattern.isEmpty)
        var fallback: [UInt16] = [0, 0]
        fallback.reserveCapacity(pattern.count + 1)
        var length = 0
        for byte in pattern.dropFirst() {
            while length > 0, pattern[length] != byte { length = Int(fallback[length]) }
            if pattern[length] == byte { length += 1 }
            fallback.append(UInt16(truncatingIfNeeded: length))
        }
        self.pattern = pattern
        self.fallback = fallback
    }

    /// Whether this byte completes the string.
    mutating func advance(_ byte: UInt8) -> Bool {
        while matched > 0, matched == pattern.count || pattern[matched] != byte { matched = Int(fallback[matched]) }
        if pattern[matched] == byte { matched += 1 }
        return matched == pattern.count
    }
}
