/// Which texts are tried next for a request, and what is known after them: blanks are filled from left to right, and of
/// the lengths of an open one that stays whose tokens have the best mean log-probability.
package struct FillSearch {
    private let request: FillRequest
    /// The tokens of the blanks that are known.
    package private(set) var filled: [[TokenLogprobs]] = []
    /// The texts that are tried next; none when all is known.
    package private(set) var candidates: [FillLayout] = []

    package init(_ request: FillRequest) {
        self.request = request
        candidates = nextCandidates
    }

    package var known: [[Int32]] { filled.map { $0.map(\.chosen.id) } }

    /// Where each blank begins in the text.
    package var starts: [Int] {
        zip(request.blanks, filled.indices).map { blank, place in
            blank.place + filled[..<place].reduce(0) { $0 + $1.count }
        }
    }

    /// The text with what is known, from `<s>` on.
    package var ids: [Int32] {
        var (ids, place): ([Int32], Int) = ([], 0)
        for (blank, tokens) in zip(request.blanks, known) {
            ids += request.context.ids[place..<blank.place] + tokens
            place = blank.place
        }
        return ids + request.context.ids[place...]
    }

    /// Takes what was found for the candidates, in their order: the tokens of each wanted blank. Of equals the shortest
    /// stays.
    package mutating func take(_ results: [[[TokenLogprobs]]]) {
        func mean(_ place: Int) -> Double {
            let blank = results[place][0]
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
