import Glibc

/// How often guesses came true, beside how often they were expected to.
///
/// A drafter's estimates are biased in ways that depend on the text: repetition makes them too low, and novelty too
/// high. So guesses are counted by their kind and by how probable they were said to be, and later estimates are
/// corrected by the ratio.
package struct DraftCalibration: Sendable {
    /// Kinds of guesses that are told apart: for n-grams by the run that they stand on, for models by their rank.
    package static let kinds = 0..<5

    private struct Count {
        var expected = 0.0
        var accepted = 0.0
    }

    /// Estimates are told apart by so many equal parts of 0...1.
    private static let parts = 8
    /// The prior: so many tokens that were expected, and came.
    private static let prior = 1.0
    /// Old experience fades from so many expected tokens on, because texts change.
    private static let most = 256.0

    private var counts = [Count](repeating: Count(), count: parts * kinds.count)
    /// How far a drafter's logits are from the model's, beside how far they were taken to be at first.
    package private(set) var spread = 1.0

    /// The weight of one guess in `spread`, and what it is never beyond.
    private static let pace = 0.1
    private static let spreads = 1.0 / 32...32

    package init() {}

    /// The chance that a guess comes true where the text has come to its parent.
    ///
    /// - Parameter estimate: the drafter's own, in 0...1.
    package func chance(_ estimate: Double, kind: Int) -> Double {
        let count = counts[Self.index(estimate, kind)]
        return min(1, estimate * (count.accepted + Self.prior) / (count.expected + Self.prior))
    }

    /// Counts which guesses came true, as far as the text went along the tree.
    ///
    /// - Parameter path: the nodes that came, each behind the one before it.
    package mutating func learn(from tree: DraftTree, _ path: some Sequence<Int>) {
        var parent: Int?
        for node in path {
            learn(from: tree, behind: parent, came: node)
            parent = node
        }
        learn(from: tree, behind: parent, came: nil)
    }

    private mutating func learn(from tree: DraftTree, behind parent: Int?, came: Int?) {
        for (index, node) in tree.nodes.enumerated() where node.parent == parent {
            let place = Self.index(node.estimate, node.kind)
            counts[place].expected += node.estimate
            if index == came { counts[place].accepted += 1 }
            if node.kind == 0 { learnSpread(from: node.estimate, isRight: index == came) }
            guard counts[place].expected > Self.most else { continue }
            counts[place].expected /= 2
            counts[place].accepted /= 2
        }
    }

    /// Makes what came more probable: one step up the gradient of the logarithm of its probability, by the logarithm of
    /// the spread, where all other tokens are taken together.
    private mutating func learnSpread(from estimate: Double, isRight: Bool) {
        let estimate = min(max(estimate, 0.5), 1 - 1e-6)
        let gradient = ((isRight ? 0 : 1) - (1 - estimate)) * log(estimate / (1 - estimate))
        spread = min(max(spread * exp(Self.pace * gradient), Self.spreads.lowerBound), Self.spreads.upperBound)
    }

    private static func index(_ estimate: Double, _ kind: Int) -> Int {
        precondition(kinds.contains(kind))
        return kind * parts + min(parts - 1, max(0, Int(estimate * Double(parts))))
    }
}
