/// A set of strings that share prefixes, with a value at each node.
///
/// Nodes lie in breadth-first order in one array, so that the children of a node are neighbours,
/// sorted by label. The root is node 0.
struct PrefixTrie<Label: FixedWidthInteger & UnsignedInteger & Sendable, Value: Sendable>: Sendable {
    private struct Node {
        /// The children reach up to the first child of the next node.
        var firstChild: UInt32
        /// Label of the edge that leads here; the root's is meaningless.
        let label: Label
        var value: Value
    }

    /// One more than there are nodes: the last one bounds the children of the one before.
    private let nodes: [Node]

    /// Heap bytes.
    var byteCount: Int { nodes.capacity * MemoryLayout<Node>.stride }

    var root: Int { 0 }

    /// What lies at a node.
    @inline(__always)
    func value(of node: Int) -> Value { nodes[node].value }

    /// The child of `node` by `label`, if there is one.
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

        /// Begins with the root, unopened.
        ///
        /// - Parameters:
        ///   - capacity: nodes to come, the root included; at most `UInt32.max`.
        ///   - none: the value of a node that has none.
        init(capacity: Int, none: Value) {
            nodes.reserveCapacity(capacity + 1)
            self.none = none
            append(0)
        }

        /// Nodes so far, the root included.
        var count: Int { nodes.count }
        /// Nodes opened so far.
        private(set) var openedCount = 0

        /// What is appended from here on is a child of the next node, whose number is returned.
        mutating func open() -> Int {
            precondition(openedCount < count)
            nodes[openedCount].firstChild = UInt32(count)
            openedCount += 1
            return openedCount - 1
        }

        /// A node without a value, if none is given.
        mutating func append(_ label: Label, _ value: Value? = nil) {
            nodes.append(Node(firstChild: 0, label: label, value: value ?? none))
        }

        mutating func setValue(_ value: Value, of node: Int) {
            nodes[node].value = value
        }

        /// Nodes that have not been opened have no children.
        consuming func finish() -> PrefixTrie {
            let count = UInt32(self.count)
            append(0)
            for node in openedCount..<nodes.count { nodes[node].firstChild = count }
            return PrefixTrie(nodes: nodes)
        }
    }
}
