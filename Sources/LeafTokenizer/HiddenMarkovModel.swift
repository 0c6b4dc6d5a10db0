/// jieba's model of unknown words: each Han character begins (B), continues (M) or ends (E) a word, or is a word by
/// itself (S).
///
/// States are numbered in the order of their letters, B, E, M, S, because jieba breaks ties by the
/// letter: the larger one wins.
struct HiddenMarkovModel: Sendable {
    /// jieba's log-probability of events that never occurred.
    static let impossible = -3.14e100

    private enum State {
        static let begin = 0
        static let end = 1
        static let middle = 2
        static let single = 3
    }

    private let start: SIMD4<Double>
    /// The log-probability of each state after its first predecessor. First predecessors are E for B and S, B for M and
    /// E.
    private let fromFirst: SIMD4<Double>
    /// The log-probability of each state after its second predecessor: S for B and S, M for M and E.
    private let fromSecond: SIMD4<Double>
    /// Emissions by Han character, from U+4E00 on.
    private let emissions: [SIMD4<Double>]

    /// - Parameters:
    ///   - start: `[4]`, by state.
    ///   - transitions: `[4, 2]`, into each state from each of its predecessors.
    ///   - emissions: `[BlockCharacter.hanCount]` vectors over states.
    init(start: [Double], transitions: [Double], emissions: [SIMD4<Double>]) {
        precondition(start.count == 4 && transitions.count == 8 && emissions.count == BlockCharacter.hanCount)
        self.start = SIMD4(start)
        self.fromFirst = SIMD4(transitions[0], transitions[2], transitions[4], transitions[6])
        self.fromSecond = SIMD4(transitions[1], transitions[3], transitions[5], transitions[7])
        self.emissions = emissions
    }

    /// Heap bytes.
    var byteCount: Int { emissions.heapBytes }

    /// Cuts a run of Han characters into words by the most probable path (Viterbi).
    ///
    /// - Parameters:
    ///   - run: a range of `text`, not empty, Han characters only.
    ///   - steps: working memory; it grows to one byte for each character.
    ///   - emit: called with each word's range, in order.
    func cut(_ run: Range<Int>, of text: Span<UInt8>, steps: inout [UInt8], emit: (Range<Int>) -> Void) {
        let count = run.count / 3
        if steps.count < count { steps = [UInt8](repeating: 0, count: count) }
        var state = forward(run, of: text, steps: &steps)

        // Turns steps (a bit for each state: which predecessor was better) into states, in place.
        for index in stride(from: count - 1, through: 0, by: -1) {
            let isSecond = steps[index] >> state & 1 == 1
            steps[index] = UInt8(state)
            state = Self.predecessor(of: state, isSecond: isSecond)
        }
        var wordStart = run.lowerBound
        for index in 0..<count where steps[index] == State.end || steps[index] == State.single {
            let wordEnd = run.lowerBound + 3 * (index + 1)
            emit(wordStart..<wordEnd)
            wordStart = wordEnd
        }
    }

    /// Sets in `steps` a bit for each state whose second predecessor is better, and returns the best last state.
    ///
    /// Sums are computed in jieba's order, so that they round in the same way.
    private func forward(_ run: Range<Int>, of text: Span<UInt8>, steps: inout [UInt8]) -> Int {
        var best = start + emissions[BlockCharacter.hanIndex(in: text, at: run.lowerBound)]
        steps[0] = 0
        var index = 1
        for position in stride(from: run.lowerBound + 3, to: run.upperBound, by: 3) {
            let emission = emissions[BlockCharacter.hanIndex(in: text, at: position)]
            let first = best.lowHalf
            let second = best.highHalf
            let viaFirst = (SIMD4(first.y, first.x, first.x, first.y) + fromFirst) + emission
            let viaSecond = (SIMD4(second.y, second.x, second.x, second.y) + fromSecond) + emission
            let isSecondBetter = viaSecond .>= viaFirst
            var step: UInt8 = 0
            for state in 0..<4 where isSecondBetter[state] { step |= 1 << state }
            steps[index] = step
            index += 1
            best = viaFirst.replacing(with: viaSecond, where: isSecondBetter)
        }
        return best[State.single] >= best[State.end] ? State.single : State.end
    }

    private static func predecessor(of state: Int, isSecond: Bool) -> Int {
        let isWordStart = state == State.begin || state == State.single
        if isSecond { return isWordStart ? State.single : State.middle }
        return isWordStart ? State.end : State.begin
    }
}
