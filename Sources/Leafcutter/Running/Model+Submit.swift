public import LeafGeneration
public import LeafSystem

/// A request under way.
public struct Ticket: Sendable {
    let cancellation: Cancellation

    /// Ends the request with what there is, from any thread, at any time; more than once does nothing. Its last event
    /// comes all the same: within a second if nobody else is on the sweep, else when the sweep is over.
    public func cancel() { cancellation.cancel() }
}

extension Model {
    /// Asks the model for something, and returns at once. Requests of all kinds ride on the same sweeps.
    ///
    ///     let ticket = try model.submit(request) { event in
    ///         if case .finished(let answer) = event { ... }
    ///     }
    ///
    /// - Parameter events: called on the engine's queue, one event after the other; it should return soon, and must not
    ///   wait for the model. `.finished` comes last, and once.
    /// - Throws: `.usage` for a request that makes no sense, `.busy` when as many are under way as may be
    ///   (`ModelOptions.requestLimit`). What is found out later comes with `.finished`: `.tooLong` when the model was
    ///   opened for less, `.io` and `.badInput` from reading, `.cancelled`.
    @discardableResult
    public func submit<Request: ModelRequest>(
        _ request: Request, events: @escaping @Sendable (Request.Event) -> Void
    ) throws(LeafError) -> Ticket {
        let cancellation = Cancellation()
        try submit([request], cancellation) { _, event in events(event) }
        return Ticket(cancellation: cancellation)
    }

    /// The same for requests that begin together, on one sweep if there is room.
    ///
    /// - Parameters:
    ///   - cancellation: ends all of them.
    ///   - events: handed a request's index as well.
    /// - Throws: `.usage`, `.busy`; those before the one that was refused are cancelled and finish all the same.
    package func submit<Request: ModelRequest>(
        _ requests: [Request], _ cancellation: Cancellation,
        events: @escaping @Sendable (_ index: Int, _ event: Request.Event) -> Void
    ) throws(LeafError) {
        var makers: [Engine.TrackMaker] = []
        for (index, request) in requests.enumerated() {
            do throws(LeafError) {
                makers.append(
                    try prepare(request, Ticket(cancellation: cancellation)) { events(index, $0) })
            } catch {
                cancellation.cancel()
                engine.add(makers)
                throw error
            }
        }
        engine.add(makers)
    }

    /// Checks and takes a request; it begins when its track maker is added.
    func prepare<Request: ModelRequest>(
        _ request: Request, _ ticket: Ticket, events: @escaping @Sendable (Request.Event) -> Void
    ) throws(LeafError) -> Engine.TrackMaker {
        try request.validate(for: file.configuration)
        let request = try request.resumed(from: sessionOrigin)
        return try engine.take(request, for: file, ticket.cancellation, tell: events)
    }

    var sessionOrigin: SessionOrigin {
        SessionOrigin { [settings] (request) throws(LeafError) in
            guard settings.keepsSessions else {
                throw LeafError(
                    .usage, "the model was opened without room for sessions; set ModelOptions.keepsSessions")
            }
            return try settings.sessionOrigin(of: request)
        }
    }
}
