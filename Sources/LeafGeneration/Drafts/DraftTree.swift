import LeafSystem

/// Guesses of what comes after a text: a tree of tokens, whose root is the text itself.
///
/// A parent stands before its children, and a chain is a tree without branches. Drafters append the most probable guess
/// first, so that the first nodes of a tree are the best tree of so many nodes.
package struct DraftTree: Sendable {
    package struct Node: Sendable, Equatable {
        package let token: Int32
        /// The index of the token before; nil for one that follows the text.
        package let parent: Int?
        /// 1 for a token that follows the text.
        package let depth: Int
        /// How probable it is that the text goes on with this node and all before it.
        package let probability: Double
        /// How probable the drafter itself finds the token behind its parent, and what it stands on, of
        /// `DraftCalibration.kinds`.
        package let estimate: Double
        package let evidence: Int
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
    package subscript(index: Int) -> Node { nodes[index] }

    /// How many tokens of the tree may be expected to come true: each does with its own probability.
    package var expectedTokens: Double { nodes.reduce(0) { $0 + $1.probability } }

    package mutating func removeAll() { nodes.removeAll(keepingCapacity: true) }

    /// Keeps the first nodes alone.
    package mutating func truncate(to count: Int) {
        if count < nodes.count { nodes.removeLast(nodes.count - count) }
    }

    /// Adds a guess behind another one, or behind the text. The tree has room for it.
    ///
    /// - Parameters:
    ///   - chance: how probable the token is where the text has come to its parent, after `DraftCalibration`.
    ///   - estimate: how probable the drafter itself finds it.
    package mutating func append(
        _ token: Int32, after parent: Int?, chance: Double, estimate: Double, evidence: Int = 0
    ) {
        precondition(nodes.count < capacity, "the tree is full")
        let before = parent.map { nodes[$0] }
        nodes.append(
            Node(
                token: token, parent: parent, depth: (before?.depth ?? 0) + 1,
                probability: (before?.probability ?? 1) * chance, estimate: estimate, evidence: evidence))
    }

    /// The node of a token behind another one, or behind the text; nil if nobody guessed it.
    package func child(_ token: Int32, of parent: Int?) -> Int? {
        nodes.firstIndex { $0.parent == parent && $0.token == token }
    }
}

/// Guesses how one text goes on. What it guesses changes how fast the text comes, and never which one.
package protocol Drafter {
    /// Takes tokens that stand behind the text now: the prompt at first, then what the model chose.
    ///
    /// - Parameter tree: what was guessed for the place where they begin; empty if nothing was.
    mutating func accept(_ tokens: ArraySlice<Int32>, drafted tree: DraftTree)

    /// Replaces the tree by guesses of what comes next, the most probable first.
    ///
    /// - Parameter limit: nodes at most; more than the tree's capacity mean all of it.
    mutating func draft(into tree: inout DraftTree, limit: Int)
}
