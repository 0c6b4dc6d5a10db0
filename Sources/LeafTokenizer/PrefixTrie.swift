/// A set of strings that share prefixes, with a value at each node.
///
/// Nodes are in one array in breadth-first order, so the children of a node are neighbours, sorted by label. The root
/// is node 0.
struct PrefixTrie<Label: FixedWidthInteger & UnsignedInteger & Sendable, Value: Sendable>: Sendable {
    private struct Node {
        /// The node's first child. Its children end where those of the next node begin.
        var firstChild: UInt32
        /// The label of the edge to this node; undefined for the root.
        let label: Label
        var value: Value
    }

    /// One more than the number of nodes: the last one ends the children of the one before.
    private let nodes: [Node]

    /// Heap bytes.
    var byteCount: Int { nodes.heapBytes }

    var root: Int { 0 }

    /// The value at a node.
    @inline(__always)
    func value(of node: Int) -> Value { nodes[node].value }

    /// The child of `node` with this label; nil if there is none.
    @inline(__always)
    func child(of node: Int, by label: Label) -> Int? {
        var low = Int(nodes[node].firstChild)
        let end = Int(nodes[node + 1].firstChild)
        var high = end
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle].label < label { low = middle + 1 } else { high = middle }
        }
        return low < end && nodes[low].label == label ? low : nil
    }
}

extension PrefixTrie {
    /// Collects nodes in breadth-first order.
    ///
    /// Call `open` for node 0, 1, 2, ... in turn and `append` for each of its children.
    struct Builder: ~Copyable {
        private var nodes: [Node] = []
        private let none: Value

        /// Begins with the root, which is not opened yet.
        ///
        /// - Parameters:
        ///   - capacity: the number of nodes, the root included; at most `UInt32.max`.
        ///   - none: the value of nodes without one.
        init(capacity: Int, none: Value) {
            nodes.reserveCapacity(capacity + 1)
            self.none = none
            append(0)
        }

        /// The number of nodes so far, the root included.
        var count: Int { nodes.count }
        /// The number of nodes opened so far.
        private(set) var openedCount = 0

        /// Opens the next node and returns its number. Nodes appended from now on are its children.
        mutating func open() -> Int {
            precondition(openedCount < count)
            nodes[openedCount].firstChild = UInt32(count)
            openedCount += 1
            return openedCount - 1
        }

        /// Appends a node; without `value`, a node without one.
        mutating func append(_ label: Label, _ value: Value? = nil) {
            nodes.append(Node(firstChild: 0, label: label, value: value ?? none))
        }

        mutating func setValue(_ value: Value, of node: Int) {
            nodes[node].value = value
        }

        /// Finishes the trie. Nodes that were not opened have no children.
        consuming func finish() -> PrefixTrie {
            let count = UInt32(self.count)
            append(0)
            for node in openedCount..<nodes.count { nodes[node].firstChild = count }
            return PrefixTrie(nodes: nodes)
        }
    }
}
