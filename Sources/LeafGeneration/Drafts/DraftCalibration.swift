/// How often guesses came true, beside how often they were expected to.
///
/// A drafter's estimates are biased in ways that depend on the text: repetition makes them too low, and novelty too
/// high. So guesses are counted by their depth and by what they stand on, and later estimates are corrected by the
/// ratio.
package struct DraftCalibration: Sendable {
    /// The kinds of evidence that are told apart.
    package static let kinds = 0..<5

    private struct Count {
        var expected = 0.0
        var accepted = 0.0
    }

    /// Depths are told apart up to this one.
    private static let deepest = 8
    /// The prior: so many tokens that were expected, and came.
    private static let prior = 2.0

    private var counts = [Count](repeating: Count(), count: deepest * kinds.count)

    package init() {}

    /// Bytes of a calibration, for the memory plan.
    package static let byteCount = deepest * kinds.count * MemoryLayout<Count>.stride

    /// The chance that a guess comes true where the text has come to its parent.
    ///
    /// - Parameter estimate: the drafter's own, in 0...1.
    package func chance(_ estimate: Double, depth: Int, evidence: Int) -> Double {
        let count = counts[Self.index(depth, evidence)]
        return min(1, estimate * (count.accepted + Self.prior) / (count.expected + Self.prior))
    }

    /// Counts which guesses came true, as far as the text went along the tree.
    ///
    /// - Parameter tokens: what came where the tree begins.
    package mutating func learn(from tree: DraftTree, _ tokens: ArraySlice<Int32>) {
        var parent: Int?
        for token in tokens {
            var next: Int?
            for (index, node) in tree.nodes.enumerated() where node.parent == parent {
                let place = Self.index(node.depth, node.evidence)
                counts[place].expected += node.estimate
                guard node.token == token else { continue }
                counts[place].accepted += 1
                next = index
            }
            guard let next else { return }
            parent = next
        }
    }

    private static func index(_ depth: Int, _ evidence: Int) -> Int {
        precondition(depth >= 1 && kinds.contains(evidence))
        return (min(depth, deepest) - 1) * kinds.count + evidence
    }
}
