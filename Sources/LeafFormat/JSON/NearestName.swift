/// Finds the name that the user probably meant.
package enum NearestName {
    private static let largestDistance = 2

    /// The nearest of the names within two edits; otherwise the only one that begins with the typed text.
    package static func of(_ typed: String, among names: [String]) -> String? {
        nearest(typed, names) ?? completed(typed, names)
    }

    private static func completed(_ typed: String, _ names: [String]) -> String? {
        let longer = names.filter { $0.hasPrefix(typed) }
        return longer.count == 1 && !typed.isEmpty ? longer[0] : nil
    }

    private static func nearest(_ typed: String, _ names: [String]) -> String? {
        let ranked = names.map { (name: $0, distance: distance(Array(typed.utf8), Array($0.utf8))) }
        guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= largestDistance,
            best.distance < best.name.utf8.count
        else { return nil }
        return best.name
    }

    /// The number of insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
    static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard abs(a.count - b.count) <= largestDistance else { return largestDistance + 1 }
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var row = [i + 1]
            for (j, y) in b.enumerated() {
                var cost = min(last[j] + (x == y ? 0 : 1), last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, x == b[j - 1], a[i - 1] == y { cost = min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
