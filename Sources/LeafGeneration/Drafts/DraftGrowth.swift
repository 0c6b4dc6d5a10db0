import LeafExecutor
import LeafSystem

/// A tree of guesses that a model grows, level by level: those that seem most probable so far, and which of them the
/// model reads next.
///
/// The best tree of N nodes is the N most probable ones (Wang et al., "OPT-Tree", 2024); a node is never more probable
/// than the one before it, so each level leaves only those that may still be among them.
struct DraftGrowth {
    private struct Guess {
        let token: Int32
        /// Among `guesses`.
        let parent: Int?
        let depth: Int
        let probability: Double
        let chance: Double
        let estimate: Double
        let kind: Int
        /// Where its row lies in the sequence that the model reads; nil until it is read.
        var place: Int?
    }

    /// A guess that the model is to read.
    struct Reading {
        let number: Int
        let token: Int32
        let place: Int
        /// The place of the guess before it, or of the last token.
        let parent: Int
        /// The tokens from the text to it.
        let path: [Int32]
    }

    private var guesses: [Guess] = []
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
    /// - Parameter drafts: of all texts together, at most; each may be a level of its own.
    static func byteCount(drafts: Int) -> Int { drafts *| (2 * mostWide * mostWide * MemoryLayout<Guess>.stride) }

    /// Takes what the model finds behind a guess, or behind the text.
    mutating func add(_ found: [DraftGuess], behind parent: Int?) {
        for (rank, guess) in found.prefix(width).enumerated() {
            let kind = min(rank, DraftCalibration.kinds.upperBound - 1)
            let chance = wish.chance(guess.estimate, kind: kind)
            let probability = (parent.map { guesses[$0].probability } ?? 1) * chance
            guard probability > 0, wish.pays(probability) else { continue }
            guesses.append(
                Guess(
                    token: guess.id, parent: parent, depth: (parent.map { guesses[$0].depth } ?? 0) + 1,
                    probability: probability, chance: chance, estimate: guess.estimate, kind: kind))
        }
    }

    /// The guesses of one depth that the model reads together, in the order of their places: those behind which there
    /// may be some that are wanted.
    mutating func level(_ depth: Int, atMost most: Int) -> [Reading] {
        guard depth < limit else { return [] }
        let best = best()
        // Nothing behind a guess is more probable than the guess.
        let least = best.count < wish.count ? 0 : best.last.map { guesses[$0].probability } ?? 0
        let level = best.filter { guesses[$0].depth == depth && guesses[$0].probability > least }
            .prefix(min(most, width))
        guard wish.paysPass(level.reduce(0) { $0 + guesses[$1].probability }) else { return [] }
        var readings: [Reading] = []
        for number in level {
            let before = guesses[number].parent.map { guesses[$0].place } ?? trunk - 1
            guard let parent = before, let place = places.take(behind: parent) else { continue }
            guesses[number].place = place
            readings.append(
                Reading(
                    number: number, token: guesses[number].token, place: place, parent: parent, path: path(to: number)))
        }
        return readings.sorted { $0.place < $1.place }
    }

    /// Puts the most probable guesses into a tree, parents first.
    func fill(_ tree: inout DraftTree) {
        var nodes = [Int?](repeating: nil, count: guesses.count)
        for number in best() {
            let guess = guesses[number]
            tree.append(
                guess.token, after: guess.parent.flatMap { nodes[$0] }, chance: guess.chance,
                estimate: guess.estimate, kind: guess.kind)
            nodes[number] = tree.count - 1
        }
    }

    /// The numbers of as many guesses as are wanted, the most probable first; of equal ones the earlier.
    private func best() -> ArraySlice<Int> {
        guesses.indices.sorted {
            guesses[$0].probability > guesses[$1].probability
                || (guesses[$0].probability == guesses[$1].probability && $0 < $1)
        }.prefix(wish.count)
    }

    private func path(to number: Int) -> [Int32] {
        var tokens: [Int32] = []
        var next: Int? = number
        while let index = next {
            tokens.append(guesses[index].token)
            next = guesses[index].parent
        }
        return tokens.reversed()
    }

    /// The guesses that the model has read along some tokens, as their places in its sequence.
    func places(along tokens: some Sequence<Int32>) -> [Int] {
        var places: [Int] = []
        var parent: Int?
        for token in tokens {
            let next = guesses.firstIndex { $0.parent == parent && $0.token == token }
            guard let next, let place = guesses[next].place else { break }
            places.append(place)
            parent = next
        }
        return places
    }
}
