/// Who is served next. Clients take turns, whatever each of them has asked for.
///
/// A request begins as soon as there are places for its texts on the sweep. One that needs more places than are free is
/// passed by smaller ones of other clients, but not for ever. Requests in the background begin where nobody else waits.
package struct Carousel {
    package struct Entry {
        package let number: Int
        /// Who asks: a key, or an address.
        package let client: String
        /// Places that it takes on the sweep.
        package let places: Int
        package let isBackground: Bool

        package init(number: Int, client: String, places: Int, isBackground: Bool) {
            (self.number, self.client, self.places, self.isBackground) = (number, client, places, isBackground)
        }
    }

    /// Texts on a sweep at the same time.
    let places: Int
    /// Requests that may wait.
    let capacity: Int
    /// How often a request may be passed by others before nobody passes it any more.
    package static let patience = 16

    /// What clients wait for, each client's in its order; clients in the order of their turns.
    private var waiting: [(client: String, entries: [Entry])] = []
    private var underWay: [Int: Entry] = [:]
    /// The request that had its turn and did not fit, and how often it was passed since.
    private var passed: (number: Int, times: Int)?

    /// - Parameters:
    ///   - places: on a sweep; at least 1.
    ///   - capacity: requests that may wait.
    package init(places: Int, capacity: Int) { (self.places, self.capacity) = (max(1, places), capacity) }

    package var waitingCount: Int { waiting.reduce(0) { $0 + $1.entries.count } }
    package var underWayCount: Int { underWay.count }
    /// Places that a batch has, which comes and goes by itself where nobody waits.
    package var batchPlaces = 0
    /// Texts on the sweep.
    package var takenPlaces: Int { underWay.values.reduce(batchPlaces) { $0 + min($1.places, places) } }

    /// - Returns: whether there was room. The last quarter of the places to wait is for clients that have nothing
    ///   waiting, so that one client cannot shut the others out.
    package mutating func add(_ entry: Entry) -> Bool {
        let index = waiting.firstIndex { $0.client == entry.client }
        let room = index == nil ? capacity : capacity - capacity / 4
        guard waitingCount < room else { return false }
        if let index {
            waiting[index].entries.append(entry)
        } else {
            waiting.append((entry.client, [entry]))
        }
        return true
    }

    /// The next request to begin, which is under way from now on; nil while none may.
    package mutating func next() -> Entry? {
        next { !$0.isBackground } ?? (hasForeground ? nil : next { $0.isBackground })
    }

    private var hasForeground: Bool { waiting.contains { $0.entries.contains { !$0.isBackground } } }

    private mutating func next(among isMeant: (Entry) -> Bool) -> Entry? {
        for turn in waiting.indices {
            guard let place = waiting[turn].entries.firstIndex(where: isMeant) else { continue }
            let entry = waiting[turn].entries[place]
            if takenPlaces + min(entry.places, places) <= places {
                begin(turn, place)
                return entry
            }
            if passed == nil { passed = (entry.number, 0) }
            if let passed, passed.number == entry.number, passed.times >= Self.patience { return nil }
        }
        return nil
    }

    private mutating func begin(_ turn: Int, _ place: Int) {
        var client = waiting.remove(at: turn)
        let entry = client.entries.remove(at: place)
        if !client.entries.isEmpty { waiting.append(client) }
        underWay[entry.number] = entry
        if passed?.number == entry.number { passed = nil } else { passed?.times += 1 }
    }

    /// A request is over, or nobody wants it any more.
    package mutating func remove(_ number: Int) {
        underWay[number] = nil
        if passed?.number == number { passed = nil }
        for turn in waiting.indices { waiting[turn].entries.removeAll { $0.number == number } }
        waiting.removeAll { $0.entries.isEmpty }
    }

    func isUnderWay(_ number: Int) -> Bool { underWay[number] != nil }
}
