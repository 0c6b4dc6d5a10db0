import LeafGeneration

/// What trees of drafts are expected to give, if their best guesses are right so often.
///
/// Behind every token of a text the best guess is right with a chance `a`, and each further one with a share `s` of
/// what those before it have missed: `q1 = a`, `q2 = (1 - a) s`, `q3 = (1 - a) (1 - s) s`, and so on for as many
/// guesses as stand beside each other. What came before does not matter. The text comes to a node, and goes on with
/// it, with the product of these chances along its path, and each node to which it comes is a token. So a tree gives
/// `1 + sum of the products of its nodes` tokens a sweep. The best tree of N nodes has the N largest products; none is
/// larger than that of the node before it, so taking the most probable guess again and again finds them. With one guess
/// behind each token this is a chain, and gives `1 + a + a^2 + .. + a^N`.
///
/// Real drafts are better here and worse there, and a source of drafts knows that in part, so that real trees give a
/// little more. `s` is what the demonstration models have: with the chance that chains of theirs give, trees of 16 and
/// 32 are forecast to give 2.7 and 2.9 tokens a sweep (measured: 2.8 and 2.9) with a small model, 6.8 and 7.7 (7.3 and
/// 9.0) with a copy of 3 bits (Benchmarks/RESULTS.md).
package struct DraftOdds: Sendable {
    private struct Node {
        let probability: Double
        let depth: Int
    }

    /// Of what better guesses have missed, the next one is right so often.
    package static let shareOfNext = 0.2

    /// In the order in which a growing tree takes them.
    private var nodes: [Node] = []

    /// - Parameters:
    ///   - acceptance: the chance of a best guess.
    ///   - width: guesses behind the same token; 1 for chains.
    ///   - count: nodes of the largest tree.
    package init(acceptance: Double, width: Int, count: Int) {
        var chances = [acceptance]
        while chances.count < width { chances.append((1 - chances.reduce(0, +)) * Self.shareOfNext) }
        var frontier = chances.map { Node(probability: $0, depth: 1) }
        while nodes.count < count {
            // Of equal ones the earlier.
            let best = frontier.indices.reduce(0) { frontier[$1].probability > frontier[$0].probability ? $1 : $0 }
            let node = frontier.remove(at: best)
            nodes.append(node)
            // Of each level so many are continued.
            guard nodes.count(where: { $0.depth == node.depth }) <= ModelDrafts.mostWide else { continue }
            frontier += chances.map { Node(probability: node.probability * $0, depth: node.depth + 1) }
        }
    }

    /// Tokens of a sweep with a tree of so many nodes.
    package func tokens(drafts: Int) -> Double { nodes.prefix(drafts).reduce(1) { $0 + $1.probability } }

    /// The rows that a model reads, pass by pass, to make such a tree: the text's last token, then the nodes of each
    /// level behind which there may be others.
    package func passes(drafts: Int) -> [Int] {
        let depths = nodes.prefix(drafts).map(\.depth)
        guard let depth = depths.max() else { return [] }
        // A model looks behind the last level, too, but not behind the longest path that was asked for.
        return [1]
            + (1..<min(drafts, depth + 1)).map { level in min(ModelDrafts.mostWide, depths.count { $0 == level }) }
    }
}
