import LeafExecutor
import LeafSystem

/// A tree of guesses that a model grows, level by level: those that seem most probable so far, and which of them the
/// model reads next.
///
/// The best tree of N nodes is the N most probable ones (Wang et al., "OPT-Tree", 2024); a node is never more probable
/// than the one before it, so each level leaves only those that may still be among them.
struct DraftGrowth {
    /// All guesses so far. Those that the model has read have a place in the sequence that it reads.
    private(set) var guesses: DraftTree
    private var places: BranchPlaces
    private let trunk: Int
    private let wish: DraftWish
    private let limit: Int
    private let width: Int

    /// - Parameters:
    ///   - trunk: the number of places before the guesses in the sequence that the model reads.
    ///   - pages: of that sequence that guesses may lie in, with the one of `trunk`.
    ///   - limit: of the longest path.
    ///   - width: guesses behind the same one at most.
    init(behind trunk: Int, pages: Int, limit: Int, width: Int, _ wish: DraftWish) {
        guesses = DraftTree(capacity: width * width * limit)
        places = BranchPlaces(behind: trunk, pages: pages)
        self.trunk = trunk
        self.limit = limit
        self.width = width
        self.wish = wish
    }

    /// The most guesses that a model is asked for behind one row, and the most rows of a text that it reads at once.
    static let mostWide = 4

    /// Bytes of the guesses of all texts that draft on one sweep, for the memory plan.
    ///
    /// - Parameter drafts: of all texts together, at most; each may be a level of its own. A text that rests keeps what
    ///   it has guessed before.
    static func byteCount(drafts: Int) -> Int {
        2 *| DraftTree.byteCount(capacity: drafts *| (mostWide * mostWide))
    }

    /// Takes what the model finds behind a guess, or behind the text.
    mutating func add(_ found: [DraftGuess], behind parent: Int?) {
        for (rank, guess) in found.prefix(width).enumerated() {
            let kind = min(rank, DraftCalibration.kinds.upperBound - 1)
            let node = guesses.node(
                guess.id, after: parent, chance: wish.chance(guess.estimate, kind: kind), estimate: guess.estimate,
                kind: kind)
            if node.probability > 0, wish.pays(node.probability) { guesses.append(node) }
        }
    }

    /// The guesses of one depth that the model reads together, in the order of their places: those behind which there
    /// may be some that are wanted.
    mutating func level(_ depth: Int, atMost most: Int) -> [Int] {
        guard depth < limit else { return [] }
        let best = best()
        // Nothing behind a guess is more probable than the guess.
        let least = best.count < wish.count ? 0 : best.last.map { guesses[$0].probability } ?? 0
        let level = best.filter { guesses[$0].depth == depth && guesses[$0].probability > least }
            .prefix(min(most, width))
        guard wish.paysPass(level.reduce(0) { $0 + guesses[$1].probability }) else { return [] }
        return level.filter { guesses.place($0, behind: trunk, in: &places) }
            .sorted { guesses[$0].place < guesses[$1].place }
    }

    /// Puts the most probable guesses into a tree, parents first.
    func fill(_ tree: inout DraftTree) {
        var numbers = [Int?](repeating: nil, count: guesses.count)
        for number in best() {
            tree.append(guesses[number].behind(guesses[number].parent.flatMap { numbers[$0] }))
            numbers[number] = tree.count - 1
        }
    }

    /// The numbers of as many guesses as are wanted, the most probable first; of equal ones the earlier.
    private func best() -> ArraySlice<Int> {
        guesses.nodes.indices.sorted {
            guesses[$0].probability > guesses[$1].probability
                || (guesses[$0].probability == guesses[$1].probability && $0 < $1)
        }.prefix(wish.count)
    }

    /// The guesses that the model has read along some tokens, as their places in its sequence.
    func places(along tokens: some Sequence<Int32>) -> [Int] {
        var places: [Int] = []
        var parent: Int?
        for token in tokens {
            guard let next = guesses.child(token, of: parent), guesses[next].place >= 0 else { break }
            places.append(guesses[next].place)
            parent = next
        }
        return places
    }
}
