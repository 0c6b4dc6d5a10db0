/// The shape of a set of strings that share prefixes: nodes in breadth-first order, so that the
/// children of a node are neighbours, sorted by label.
///
/// A node costs `sizeof(Label) + 4` bytes. What a node means (a word's weight, a token's id) lies
/// in an array of the owner, by node number. The root is node 0.
struct PrefixTrie<Label: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    var root: Int { 0 }

    /// Label of the edge that leads into each node; the root's is meaningless.
    private let labels: [Label]
    /// Children of node n are `firstChild[n]..<firstChild[n + 1]`.
    private let firstChild: [UInt32]

    /// Takes what `Builder` has put together.
    private init(labels: [Label], firstChild: [UInt32]) {
        self.labels = labels
        self.firstChild = firstChild
    }

    /// Nodes, the root included.
    var count: Int { labels.count }

    var byteCount: Int { labels.capacity * MemoryLayout<Label>.stride + firstChild.capacity * 4 }

    /// The child of `node` by `label`, if there is one.
    @inline(__always)
    func child(of node: Int, by label: Label) -> Int? {
        var low = Int(firstChild[node])
        let end = Int(firstChild[node + 1])
        var high = end
        while low < high {
            let middle = (low + high) / 2
            if labels[middle] < label { low = middle + 1 } else { high = middle }
        }
        return low < end && labels[low] == label ? low : nil
    }
}

extension PrefixTrie {
    /// Collects nodes in breadth-first order.
    ///
    /// Call `beginChildren` for node 0, 1, 2, ... in turn and `append` for each of its children.
    struct Builder {
        private var labels: [Label] = []
        private var firstChild: [UInt32] = []

        /// - Parameter capacity: nodes to come, the root included; at most `UInt32.max`.
        init(capacity: Int) {
            labels.reserveCapacity(capacity)
            firstChild.reserveCapacity(capacity + 1)
            labels.append(0)
        }

        /// Nodes so far, the root included.
        var count: Int { labels.count }
        /// Nodes whose children have been opened so far.
        var opened: Int { firstChild.count }

        /// What is appended from here on is a child of the next node that has not been opened.
        mutating func beginChildren() {
            precondition(opened < count)
            firstChild.append(UInt32(count))
        }

        mutating func append(_ label: Label) {
            labels.append(label)
        }

        /// Nodes that have not been opened have no children.
        consuming func finish() -> PrefixTrie {
            while opened <= count { firstChild.append(UInt32(count)) }
            return PrefixTrie(labels: labels, firstChild: firstChild)
        }
    }
}
