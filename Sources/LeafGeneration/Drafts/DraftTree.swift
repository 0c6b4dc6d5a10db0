import LeafExecutor
import LeafSystem

/// Guesses of what comes after a text: a tree of tokens, whose root is the text itself.
///
/// A parent stands before its children, and a chain is a tree without branches.
package struct DraftTree: Sendable {
    package struct Node: Sendable, Equatable {
        package let token: Int32
        /// The index of the token before; nil for one that follows the text.
        package let parent: Int?
        /// 1 for a token that follows the text.
        package let depth: Int
        /// How probable it is that the text goes on with this node and all before it.
        package let probability: Double
        /// How probable the drafter itself finds the token behind its parent, and of which of
        /// `DraftCalibration.kinds` the guess is.
        package let estimate: Double
        package let kind: Int
        /// Where its row lies in the sequence of whoever reads it; -1 until it has a place.
        package fileprivate(set) var place = -1
    }

    /// The most nodes.
    package let capacity: Int
    package private(set) var nodes: [Node] = []

    /// - Parameter capacity: memory for so many nodes is taken here, and none later.
    package init(capacity: Int) {
        self.capacity = capacity
        nodes.reserveCapacity(capacity)
    }

    /// Bytes of a tree, for the memory plan.
    package static func byteCount(capacity: Int) -> Int { capacity *| MemoryLayout<Node>.stride }

    package var count: Int { nodes.count }
    package var isEmpty: Bool { nodes.isEmpty }
    package var isFull: Bool { nodes.count >= capacity }
    package subscript(index: Int) -> Node { nodes[index] }

    /// How many tokens of the tree may be expected to come true: each does with its own probability.
    package var expectedTokens: Double { nodes.reduce(0) { $0 + $1.probability } }

    /// The length of the longest path.
    package var depth: Int { nodes.reduce(0) { max($0, $1.depth) } }

    package mutating func removeAll() { nodes.removeAll(keepingCapacity: true) }

    /// Keeps the nodes before the first one that does not pass.
    package mutating func keep(while passes: (Node) -> Bool) {
        if let end = nodes.firstIndex(where: { !passes($0) }) { nodes.removeSubrange(end...) }
    }

    /// Adds a guess behind another one, or behind the text. The tree has room for it.
    ///
    /// - Parameters:
    ///   - chance: how probable the token is where the text has come to its parent, after `DraftCalibration`.
    ///   - estimate: how probable the drafter itself finds it.
    package mutating func append(_ token: Int32, after parent: Int?, chance: Double, estimate: Double, kind: Int = 0) {
        append(node(token, after: parent, chance: chance, estimate: estimate, kind: kind))
    }

    /// Adds a guess that was made behind a node of this tree, or behind the text.
    mutating func append(_ node: Node) {
        precondition(!isFull, "the tree is full")
        nodes.append(node)
    }

    /// A guess behind a node, or behind the text, that the tree does not have yet.
    func node(_ token: Int32, after parent: Int?, chance: Double, estimate: Double, kind: Int) -> Node {
        let before = parent.map { nodes[$0] }
        return Node(
            token: token, parent: parent, depth: (before?.depth ?? 0) + 1,
            probability: (before?.probability ?? 1) * chance, estimate: estimate, kind: kind)
    }

    /// The node of a token behind another one, or behind the text; nil if nobody guessed it.
    package func child(_ token: Int32, of parent: Int?) -> Int? {
        nodes.firstIndex { $0.parent == parent && $0.token == token }
    }

    /// The tokens from the text to a node.
    package func path(to node: Int?) -> [Int32] {
        var tokens: [Int32] = []
        var next = node
        while let index = next {
            tokens.append(nodes[index].token)
            next = nodes[index].parent
        }
        return tokens.reversed()
    }

    /// Gives a node the first place that is left behind the node before it, or behind the text.
    ///
    /// - Parameter trunk: the number of places before the tree.
    /// - Returns: whether there was one; the node before it has to have one, too.
    mutating func place(_ index: Int, behind trunk: Int, in places: inout BranchPlaces) -> Bool {
        let parent = nodes[index].parent
        let isReached = parent.map { nodes[$0].place >= 0 } ?? true
        let place = isReached ? places.take(behind: parent.map { nodes[$0].place } ?? trunk - 1) : nil
        nodes[index].place = place ?? -1
        return place != nil
    }

    /// Gives every node a place behind the text, and the nodes the order of their places. Earlier nodes have the first
    /// choice; those for which there is no place go, with all behind them.
    ///
    /// - Parameters:
    ///   - trunk: the number of places before the drafts.
    ///   - pages: that drafts may lie in, with the one of `trunk`.
    package mutating func arrange(behind trunk: Int, pages: Int) {
        var places = BranchPlaces(behind: trunk, pages: pages)
        let order = nodes.indices.filter { place($0, behind: trunk, in: &places) }
            .sorted { nodes[$0].place < nodes[$1].place }
        var numbers = nodes.map { _ in 0 }
        for (number, index) in order.enumerated() { numbers[index] = number }
        let arranged = order.map { nodes[$0].behind(nodes[$0].parent.map { numbers[$0] }, at: nodes[$0].place) }
        nodes.replaceSubrange(0..., with: arranged)
    }
}

extension DraftTree.Node {
    /// The same guess in another tree, or at another place of it.
    func behind(_ parent: Int?, at place: Int = -1) -> Self {
        Self(
            token: token, parent: parent, depth: depth, probability: probability, estimate: estimate, kind: kind,
            place: place)
    }
}
