/// Places in a sequence's cache for a tree of drafts behind its end.
///
/// A row's sums run over the keys that it sees in the order of their places, and the sum of a softmax over each of 16
/// lanes by itself. A key that a row does not see adds an exact zero to both. So a row has the same bits wherever its
/// branch lies, as long as every draft is in the lane of its place in the text, and behind the draft before it. Drafts
/// of the same depth share a lane, and lie in different pages.
package struct BranchPlaces {
    /// The lanes that are taken, of each page from the first draft's on.
    private var taken: [UInt16] = []
    private let firstPage: Int
    private let mostPages: Int

    /// - Parameters:
    ///   - trunk: the place of the first draft, which is the number of places before it.
    ///   - pages: that drafts may lie in, with the one of `trunk`.
    package init(behind trunk: Int, pages: Int) {
        firstPage = trunk / Demand.pageKeys
        mostPages = pages
        taken.reserveCapacity(pages)
        // Before the trunk stand the rows that all drafts see.
        if pages > 0 { taken.append((1 << UInt16(trunk % Demand.pageKeys)) - 1) }
    }

    /// Takes the first place that a draft may have.
    ///
    /// - Parameter parent: the place of the row that it stands behind.
    /// - Returns: nil if there is none left.
    package mutating func take(behind parent: Int) -> Int? {
        let place = parent + 1
        let lane = UInt16(1) << UInt16(place % Demand.pageKeys)
        for page in (place / Demand.pageKeys - firstPage)..<max(place / Demand.pageKeys - firstPage, mostPages) {
            if page == taken.count { taken.append(0) }
            guard taken[page] & lane == 0 else { continue }
            taken[page] |= lane
            return (firstPage + page) * Demand.pageKeys + place % Demand.pageKeys
        }
        return nil
    }
}
