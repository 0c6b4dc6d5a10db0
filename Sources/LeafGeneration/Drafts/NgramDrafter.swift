import LeafSystem

/// Guesses that a text goes on as it, or another text of its kind, went on before.
///
/// The continuations of the longest run that ends the text are counted, and smoothed with those of shorter runs. Each
/// guess is continued in the same way, the most probable path first.
package struct NgramDrafter: Sendable {
    private var index: NgramIndex
    private let corpus: DraftCorpus?
    /// The end of the text.
    private var end = NgramContext()
    private var continuations = NgramContinuations()
    private var frontier: DraftFrontier

    /// - Parameters:
    ///   - limit: tokens of the text that are looked up; later ones are not.
    ///   - nodes: of a tree at most.
    ///   - corpus: texts of the same kind.
    package init(limit: Int, nodes: Int, corpus: DraftCorpus? = nil) {
        precondition(limit >= 0 && nodes > 0)
        index = NgramIndex(limit: limit)
        self.corpus = corpus
        frontier = DraftFrontier(capacity: nodes)
    }

    /// Bytes of a drafter without its corpus, for the memory plan.
    package static func byteCount(limit: Int, nodes: Int) -> Int {
        NgramIndex.byteCount(tokens: limit) +| DraftFrontier.byteCount(capacity: nodes)
            +| NgramContinuations.byteCount
    }

    /// Takes tokens that stand behind the text now: the prompt at first, then what the model chose.
    package mutating func accept(_ tokens: ArraySlice<Int32>) {
        for token in tokens {
            index.append(token)
            end.append(token)
        }
    }

    /// Replaces the tree by guesses of what comes next, the most probable first.
    ///
    /// - Parameters:
    ///   - count: nodes at most; more than the tree's capacity mean all of it.
    ///   - depth: of the longest path.
    ///   - width: continuations of one node at most; 1 makes chains.
    ///   - shared: what other texts have said.
    ///   - chance: what to make of an estimate, by the kind of the guess.
    package mutating func draft(
        into tree: inout DraftTree, count: Int, depth: Int = .max, width: Int = 8, _ shared: SharedNgrams? = nil,
        chance: (_ estimate: Double, _ kind: Int) -> Double = { estimate, _ in estimate }
    ) {
        tree.removeAll()
        frontier.removeAll()
        let count = min(count, tree.capacity, frontier.capacity)
        guard count > 0, depth > 0 else { return }
        let indices = [index] + (corpus.map { [$0.index] } ?? []) + (shared.map { [$0.newer, $0.older] } ?? [])
        expand(nil, of: tree, indices, width, chance)
        while tree.count < count, let guess = frontier.popMostProbable() {
            tree.append(guess)
            let last = tree.count - 1
            if tree.count < count, tree[last].depth < depth { expand(last, of: tree, indices, width, chance) }
        }
    }

    /// Adds the continuations of a node, or of the text, to what may be drafted.
    private mutating func expand(
        _ node: Int?, of tree: DraftTree, _ indices: [NgramIndex], _ width: Int,
        _ chance: (_ estimate: Double, _ kind: Int) -> Double
    ) {
        let length = continuations.find(after: context(of: node, in: tree), in: indices)
        guard length > 0 else { return }
        let kind = Self.kind(length)
        for _ in 0..<width {
            guard let (token, estimate) = continuations.popMostProbable() else { return }
            frontier.insert(
                tree.node(token, after: node, chance: chance(estimate, kind), estimate: estimate, kind: kind))
        }
    }

    /// The tokens of the path to a node, and the end of the text before them.
    private func context(of node: Int?, in tree: DraftTree) -> NgramContext {
        guard let node else { return end }
        var context = context(of: tree[node].parent, in: tree)
        context.append(tree[node].token)
        return context
    }

    /// The kind of a guess that stands on a run of so many tokens.
    private static func kind(_ length: Int) -> Int {
        switch length {
        case 1: 0
        case 2: 1
        case 3...4: 2
        case 5...8: 3
        default: 4
        }
    }
}

/// Guesses that are not in the tree yet, as many of the most probable ones as a tree may have.
private struct DraftFrontier: Sendable {
    let capacity: Int
    /// The most probable one is the last; of equal ones the earlier.
    private var guesses: [DraftTree.Node] = []

    init(capacity: Int) {
        self.capacity = capacity
        guesses.reserveCapacity(capacity + 1)
    }

    static func byteCount(capacity: Int) -> Int { (capacity +| 1) *| MemoryLayout<DraftTree.Node>.stride }

    mutating func removeAll() { guesses.removeAll(keepingCapacity: true) }

    mutating func popMostProbable() -> DraftTree.Node? { guesses.popLast() }

    mutating func insert(_ guess: DraftTree.Node) {
        let place = guesses.firstIndex { $0.probability >= guess.probability } ?? guesses.count
        guard place > 0 || guesses.count < capacity else { return }
        guesses.insert(guess, at: place)
        if guesses.count > capacity { guesses.removeFirst() }
    }
}
