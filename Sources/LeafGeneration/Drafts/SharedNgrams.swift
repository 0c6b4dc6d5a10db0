import LeafSystem

/// What the texts of a run have said, of which all of them draft: the newest part of it.
///
/// It has two halves. Once the newer one is full, the older one goes, and with it all that was said first. Tokens that
/// went one by one would each time change the order of those behind them.
package struct SharedNgrams: Sendable {
    /// Where a text's last token is.
    package struct Place: Sendable {
        fileprivate let half: Int
        fileprivate let index: Int
    }

    package private(set) var older: NgramIndex
    package private(set) var newer: NgramIndex
    /// The number of halves before the newer one.
    private var halves = 0

    /// - Parameter limit: memory for so many tokens is taken here, and none later.
    package init(limit: Int) {
        precondition(limit >= 2)
        older = NgramIndex(limit: limit / 2, holdsManyTexts: true)
        newer = NgramIndex(limit: limit / 2, holdsManyTexts: true)
    }

    /// Bytes for so many tokens, for the memory plan.
    package static func byteCount(tokens: Int) -> Int { NgramIndex.byteCount(tokens: tokens, holdsManyTexts: true) }

    package var count: Int { older.count + newer.count }

    /// Takes the next token of a text.
    ///
    /// - Parameter last: where the token before it is; nil for the first one.
    package mutating func append(_ token: Int32, after last: Place?) -> Place {
        if newer.isFull {
            swap(&older, &newer)
            newer.removeAll()
            halves += 1
        }
        // A text that goes on in another half begins there.
        let before = last?.half == halves ? last?.index ?? -1 : -1
        return Place(half: halves, index: newer.append(token, after: before))
    }
}
