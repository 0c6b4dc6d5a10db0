import LeafSystem

/// Some of a file's lines, one bit for each that there is.
package struct LineSet: Sendable {
    /// Lines of a file at most: two sets of them take 32 MiB.
    static let mostLines = 1 << 27

    private var words: [UInt64]
    package private(set) var count = 0

    /// None of so many lines.
    package init(lines: Int) { words = Array(repeating: 0, count: Self.words(lines)) }

    package func contains(_ line: Int) -> Bool {
        guard line >= 1, words.indices.contains((line - 1) / 64) else { return false }
        return words[(line - 1) / 64] & (1 << UInt64((line - 1) % 64)) != 0
    }

    /// - Returns: false for a line that was there before, or that there is not.
    package mutating func insert(_ line: Int) -> Bool {
        guard line >= 1, words.indices.contains((line - 1) / 64), !contains(line) else { return false }
        words[(line - 1) / 64] |= 1 << UInt64((line - 1) % 64)
        count += 1
        return true
    }

    private static func words(_ lines: Int) -> Int { lines.units(of: 64) }

    static func byteCount(lines: Int) -> Int { 64 +| 8 *| words(lines) }
}
