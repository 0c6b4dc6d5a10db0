/// Finds stop strings in a text that comes in pieces, and holds back what may be the beginning of one.
///
/// The first stop string to be complete ends the text; of those complete at the same place the longest counts. Texts
/// are compared scalar by scalar, without normalization.
public struct StopMatcher: Sendable {
    private var automata: [PrefixAutomaton]
    /// The end of the text so far that may become a stop string, in UTF-8.
    private var held: [UInt8] = []
    /// Whether a stop string was met; no text comes any more.
    public private(set) var hasStopped = false

    /// - Parameter stops: none of them empty.
    public init(_ stops: [String]) {
        automata = stops.map { PrefixAutomaton(Array($0.utf8)) }
    }

    /// The text that is certain once `piece` has come, without the stop string.
    public mutating func append(_ piece: String) -> String {
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

    /// What was held back, once no more text comes.
    public mutating func finish() -> String {
        hasStopped ? "" : take(held.count)
    }

    private mutating func take(_ count: Int) -> String {
        defer { held.removeFirst(count) }
        return String(decoding: held.prefix(count), as: UTF8.self)
    }
}

/// How much of one string the end of a text matches: Knuth, Morris and Pratt.
private struct PrefixAutomaton: Sendable {
    private let pattern: [UInt8]
    /// For each length of a match the length of the longest shorter one that ends at the same place.
    private let fallback: [Int]
    private(set) var matched = 0

    var length: Int { pattern.count }

    init(_ pattern: [UInt8]) {
        precondition(!pattern.isEmpty)
        var fallback = [0, 0]
        var length = 0
        for byte in pattern.dropFirst() {
            while length > 0, pattern[length] != byte { length = fallback[length] }
            if pattern[length] == byte { length += 1 }
            fallback.append(length)
        }
        self.pattern = pattern
        self.fallback = fallback
    }

    /// Whether the string is complete with this byte.
    mutating func advance(_ byte: UInt8) -> Bool {
        while matched > 0, matched == pattern.count || pattern[matched] != byte { matched = fallback[matched] }
        if pattern[matched] == byte { matched += 1 }
        return matched == pattern.count
    }
}
