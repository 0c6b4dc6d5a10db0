package import LeafGeneration
package import LeafSystem

/// What a source gives next.
package enum Arrival<Value> {
    case value(Value)
    /// Nothing came in time.
    case later
    case end
}

/// What is asked for with one or several requests, and whatever its owner keeps of their answers.
package typealias Asked<Item, Request> = (item: Item, requests: [Request])

extension RequestEvent {
    /// The answer, with the last event.
    package var answer: Result<Answer, LeafError>? {
        guard case .finished(let answer) = self else { return nil }
        return answer
    }
}

extension Model {
    /// The milliseconds to wait for a source before looking whether anybody still wants it.
    private static var patience: Int32 { 50 }

    /// Carries out items on shared sweeps as a source gives them, and waits for all of them. Every call that waits for
    /// more than one request is built on this one.
    ///
    /// - Parameters:
    ///   - ahead: the most requests at the same time; twice the number that share a sweep keeps every sweep full.
    ///   - cancellation: when it is cancelled no further request is taken, and those begun end.
    ///   - takesAll: whether requests that come after a cancellation are taken as well: each ends at once.
    ///   - admits: whether a request may begin yet, where others use the model as well. It waits for so many
    ///     milliseconds at most.
    ///   - next: the next item. It waits for so many milliseconds at most.
    ///   - onEvent: handed an item and what happened to one of its requests, on the calling thread.
    /// - Throws: what `next` throws, `.usage` for a request that makes no sense, `.busy` if not even one may begin;
    ///   those that have begun are cancelled and finished before.
    package func carryOut<Item, Request: ModelRequest>(
        ahead: Int, _ cancellation: Cancellation, takesAll: Bool = false,
        admits: (_ request: Request, _ milliseconds: Int32) -> Bool = { _, _ in true },
        next: (_ milliseconds: Int32) throws(LeafError) -> Arrival<Asked<Item, Request>>,
        onEvent: (_ item: inout Item, _ index: Int, _ event: Request.Event) -> Void
    ) throws(LeafError) {
        precondition(!engine.queue.isCurrent)
        let mailbox = Mailbox<Request.Answer>()
        let own = Cancellation(parent: cancellation)
        var underWay = UnderWay<Item, Request>()
        var isAtEnd = false
        var failure: LeafError?

        /// Lets requests begin until nothing more may or can.
        ///
        /// - Returns: whether more may come later.
        func begin(_ makers: inout [Engine.TrackMaker]) throws(LeafError) -> Bool {
            while underWay.open < max(1, ahead) {
                guard takesAll || !cancellation.isCancelled else {
                    isAtEnd = true
                    return false
                }
                let patience = underWay.open == 0 && makers.isEmpty ? Self.patience : 0
                guard let request = underWay.waiting.first else {
                    switch try next(patience) {
                    case .value(let asked): underWay.add(asked)
                    case .later: return true
                    case .end:
                        isAtEnd = true
                        return false
                    }
                    continue
                }
                guard admits(request, patience) else { return true }
                let number = underWay.begun
                do throws(LeafError) {
                    makers.append(
                        try prepare(request, Ticket(cancellation: Cancellation(parent: own))) {
                            mailbox.put($0, of: number)
                        })
                } catch {
                    // The model is full. When one of the requests under way has finished there is room again.
                    guard error.kind == .busy, underWay.open > 0 else { throw error }
                    return false
                }
                underWay.begin()
            }
            return false
        }
        repeat {
            var (makers, mayCome): ([Engine.TrackMaker], Bool) = ([], false)
            if !isAtEnd {
                do throws(LeafError) {
                    mayCome = try begin(&makers)
                } catch {
                    (failure, isAtEnd) = (error, true)
                    own.cancel()
                }
            }
            if !makers.isEmpty { engine.add(makers) }
            guard underWay.open > 0 else { continue }
            var arrival = mailbox.next(within: mayCome ? Int(Self.patience) : nil)
            // Takes all events that have come, so that the requests that follow them join the same sweep.
            while let (number, event) = arrival {
                underWay.tell(event, of: number, onEvent)
                arrival = mailbox.next(within: 0)
            }
        } while underWay.open > 0 || !isAtEnd
        if let failure { throw failure }
    }

    /// Carries out requests that are there, all of them checked first.
    ///
    /// - Parameter onEvent: handed a request's index and what happened, on the calling thread.
    func carryOut<Request: ModelRequest>(
        _ requests: [Request], _ cancellation: Cancellation, onEvent: (_ index: Int, _ event: Request.Event) -> Void
    ) throws(LeafError) {
        let origin = sessionOrigin
        var rest: [Request] = []
        for request in requests {
            try request.validate(for: file.configuration)
            rest.append(try request.resumed(from: origin))
        }
        rest.reverse()
        // Twice the number that share a sweep keeps every sweep full.
        try carryOut(
            ahead: 2 * settings.executor.capacity.sequences, cancellation, takesAll: true,
            next: { _ -> Arrival<Asked<Int, Request>> in
                guard let request = rest.popLast() else { return .end }
                return .value((requests.count - rest.count - 1, [request]))
            },
            onEvent: { (index: inout Int, _, event: Request.Event) in onEvent(index, event) })
    }
}

/// Items whose requests have not all finished.
private struct UnderWay<Item, Request: ModelRequest> {
    private struct Entry {
        var item: Item
        /// The number of its first request.
        let first: Int
        /// Requests that have not finished.
        var left: Int
    }

    /// Requests of the newest item that have not begun.
    private(set) var waiting: ArraySlice<Request> = []
    /// Requests that have begun, and those of them that have not finished.
    private(set) var (begun, open) = (0, 0)
    /// Items by the number that they came as.
    private var entries: [Int: Entry] = [:]
    private var items = 0
    /// The item that each open request belongs to.
    private var owners: [Int: Int] = [:]

    mutating func add(_ asked: Asked<Item, Request>) {
        items += 1
        waiting = asked.requests[...]
        guard !waiting.isEmpty else { return }
        entries[items] = Entry(item: asked.item, first: begun, left: waiting.count)
    }

    /// Notes that the first of the waiting requests has begun.
    mutating func begin() {
        waiting.removeFirst()
        owners[begun] = items
        begun += 1
        open += 1
    }

    mutating func tell(
        _ event: Request.Event, of number: Int,
        _ onEvent: (_ item: inout Item, _ index: Int, _ event: Request.Event) -> Void
    ) {
        guard let owner = owners[number], var entry = entries.removeValue(forKey: owner) else { return }
        onEvent(&entry.item, number - entry.first, event)
        if case .finished = event {
            owners[number] = nil
            open -= 1
            entry.left -= 1
            if entry.left == 0 { return }
        }
        entries[owner] = entry
    }
}
