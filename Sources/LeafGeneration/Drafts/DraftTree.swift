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
        /// Where its row lies in the text's sequence, once it is arranged.
        package fileprivate(set) var place = 0
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
        precondition(!isFull, "the tree is full")
        let before = parent.map { nodes[$0] }
        nodes.append(
            Node(
                token: token, parent: parent, depth: (before?.depth ?? 0) + 1,
                probability: (before?.probability ?? 1) * chance, estimate: estimate, kind: kind))
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

    /// Gives every node a place behind the text, and the nodes the order of their places. Earlier nodes have the first
    /// choice; those for which there is no place go, with all behind them.
    ///
    /// - Parameters:
    ///   - trunk: the number of places before the drafts.
    ///   - pages: that drafts may lie in, with the one of `trunk`.
    package mutating func arrange(behind trunk: Int, pages: Int) {
        var places = BranchPlaces(behind: trunk, pages: pages)
        var hasPlace = nodes.map { _ in false }
        for index in nodes.indices {
            let parent = nodes[index].parent
            guard parent.map({ hasPlace[$0] }) ?? true,
                let place = places.take(behind: parent.map { nodes[$0].place } ?? trunk - 1)
            else { continue }
            hasPlace[index] = true
            nodes[index].place = place
        }
        let order = nodes.indices.filter { hasPlace[$0] }.sorted { nodes[$0].place < nodes[$1].place }
        var numbers = nodes.map { _ in 0 }
        for (number, index) in order.enumerated() { numbers[index] = number }
        let arranged = order.map { nodes[$0].behind(nodes[$0].parent.map { numbers[$0] }) }
        nodes.replaceSubrange(0..., with: arranged)
    }
}

extension DraftTree.Node {
    fileprivate func behind(_ parent: Int?) -> Self {
        Self(
            token: token, parent: parent, depth: depth, probability: probability, estimate: estimate, kind: kind,
            place: place)
    }
}
