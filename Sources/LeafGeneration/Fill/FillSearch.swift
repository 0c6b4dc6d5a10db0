/// Decides which texts a request tries next. Blanks are filled from left to right. Of the lengths of an open blank, the
/// one whose tokens have the best mean log-probability wins.
package struct FillSearch {
    private let request: FillRequest
    /// The tokens of the known blanks.
    package private(set) var filled: [[TokenLogprobs]] = []
    /// The texts to try next; none when all blanks are known.
    package private(set) var candidates: [FillLayout] = []

    package init(_ request: FillRequest) {
        self.request = request
        candidates = nextCandidates
    }

    package var known: [[Int32]] { filled.map { $0.map(\.chosen.id) } }

    /// The index of each blank's first token in the text.
    package var starts: [Int] {
        zip(request.blanks, filled.indices).map { blank, index in
            blank.position + filled[..<index].reduce(0) { $0 + $1.count }
        }
    }

    /// The text with the known blanks, from `<s>` on.
    package var ids: [Int32] {
        var (ids, position): ([Int32], Int) = ([], 0)
        for (blank, tokens) in zip(request.blanks, known) {
            ids += request.context.ids[position..<blank.position] + tokens
            position = blank.position
        }
        return ids + request.context.ids[position...]
    }

    /// Takes the results of the candidates, in their order: the tokens of each wanted blank. Of equal lengths the
    /// shortest wins.
    package mutating func take(_ results: [[[TokenLogprobs]]]) {
        func mean(_ candidate: Int) -> Double {
            let blank = results[candidate][0]
            return blank.reduce(0) { $0 + $1.chosen.logprob } / Double(blank.count)
        }
        guard let best = results.indices.max(by: { (mean($0), $1) < (mean($1), $0) }) else { return }
        filled += results[best]
        candidates = nextCandidates
    }

    private var nextCandidates: [FillLayout] {
        guard filled.count < request.blanks.count else { return [] }
        let known = filled.map(\.count)
        return request.lengths(of: known.count).map { request.layout(known: known, length: $0) }
    }
}
