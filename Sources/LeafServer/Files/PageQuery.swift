import LeafFormat

/// Which entries of a list are wanted.
package struct PageQuery {
    private var after: String?
    private var limit: Int
    private var isAscending = false
    private(set) var purpose: String?

    /// - Parameters:
    ///   - query: of the path.
    ///   - usual: entries at most, where it does not say.
    /// - Throws: 400 for what makes no sense.
    package init(_ query: String, usual: Int, most: Int) throws(ServedError) {
        limit = usual
        for field in query.split(separator: "&") {
            let pair = field.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else { continue }
            switch pair[0] {
            case "after": after = pair[1]
            case "purpose": purpose = pair[1]
            case "order":
                guard ["asc", "desc"].contains(pair[1]) else { throw .badQuery("order", "is not asc or desc") }
                isAscending = pair[1] == "asc"
            case "limit":
                guard let number = Int(pair[1]), (1...most).contains(number) else {
                    throw .badQuery("limit", "is not between 1 and \(most)")
                }
                limit = number
            default: break
            }
        }
    }

    /// - Parameter entries: all of them, the oldest first.
    func cut<Entry>(
        _ entries: [Entry], id: (Entry) -> String, json: (Entry) -> JSON
    ) throws(ServedError) -> JSON {
        var rest = (isAscending ? entries : entries.reversed())[...]
        if let after {
            guard let place = rest.firstIndex(where: { id($0) == after }) else {
                throw .badQuery("after", "is none of the list")
            }
            rest = rest[(place + 1)...]
        }
        return .page(rest.prefix(limit).map { (id($0), json($0)) }, hasMore: rest.count > limit)
    }
}
