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
        let ticket = Ticket(cancellation: Cancellation())
        engine.add([try prepare(request, ticket, events: events)])
        return ticket
    }

    /// Checks and takes a request; it begins when its track maker is added.
    private func prepare<Request: ModelRequest>(
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

    /// Requests that are under way at the same time where one call has many: twice what rides together keeps every
    /// sweep full.
    var usualAhead: Int { 2 * settings.capacity.sequences }

    /// Carries out requests that come one after another, no more than `ahead` at a time, and waits for all of them.
    ///
    /// - Parameters:
    ///   - takesAll: whether those that come after a cancellation are taken as well: each ends at once.
    ///   - next: nil after the last one.
    ///   - onEvent: handed the number of a request, from 0, and what happened, on the calling thread.
    /// - Throws: what `next` throws, `.usage` for a request that makes no sense, `.busy` if not even one may begin;
    ///   those that have begun are cancelled and finished before.
    func carryOut<Request: ModelRequest>(
        ahead: Int, _ cancellation: Cancellation, takesAll: Bool = false,
        next: () throws(LeafError) -> Request?, onEvent: (_ number: Int, _ event: Request.Event) -> Void
    ) throws(LeafError) {
        precondition(!engine.queue.isCurrent)
        let mailbox = Mailbox<Request.Answer>()
        let own = Cancellation(parent: cancellation)
        var (begun, open, isAtEnd) = (0, 0, false)
        var refused: Request?
        var failure: LeafError?

        /// The next request's track maker; nil when there is none for now.
        func take() throws(LeafError) -> Engine.TrackMaker? {
            let candidate = if let refused { refused } else { try next() }
            refused = nil
            guard let request = candidate else {
                isAtEnd = true
                return nil
            }
            let number = begun
            do throws(LeafError) {
                return try prepare(request, Ticket(cancellation: Cancellation(parent: own))) {
                    mailbox.put($0, of: number)
                }
            } catch {
                // Others are in the way; when one of these has finished there is room again.
                guard error.kind == .busy, open > 0 else { throw error }
                refused = request
                return nil
            }
        }
        repeat {
            var makers: [Engine.TrackMaker] = []
            while !isAtEnd, open < max(1, ahead) {
                guard takesAll || !cancellation.isCancelled else {
                    isAtEnd = true
                    break
                }
                do throws(LeafError) {
                    guard let maker = try take() else { break }
                    makers.append(maker)
                    begun += 1
                    open += 1
                } catch {
                    failure = error
                    isAtEnd = true
                    own.cancel()
                }
            }
            if !makers.isEmpty { engine.add(makers) }
            guard open > 0 else { continue }
            let (number, event) = mailbox.next()
            onEvent(number, event)
            if case .finished = event { open -= 1 }
        } while open > 0 || !isAtEnd
        if let failure { throw failure }
    }
}

/// Requests that were taken and are ready to join a sweep together.
package struct Submission: Sendable {
    fileprivate let makers: [Engine.TrackMaker]

    fileprivate init(makers: [Engine.TrackMaker]) { self.makers = makers }

    /// Several as one.
    package init(_ parts: [Submission]) { makers = parts.flatMap(\.makers) }
}

extension Model {
    /// Takes a request that `begin` lets join the sweeps together with others.
    ///
    /// - Parameters:
    ///   - cancellation: of all of them.
    ///   - onEvent: as in `submit`.
    /// - Throws: as `submit`.
    package func submission<Request: ModelRequest>(
        of request: Request, _ cancellation: Cancellation, onEvent: @escaping @Sendable (Request.Event) -> Void
    ) throws(LeafError) -> Submission {
        let ticket = Ticket(cancellation: Cancellation(parent: cancellation))
        return Submission(makers: [try prepare(request, ticket, events: onEvent)])
    }

    /// The same for callers who want the answer alone.
    package func submission<Request: ModelRequest>(
        of request: Request, _ cancellation: Cancellation,
        onAnswer: @escaping @Sendable (Result<Request.Answer, LeafError>) -> Void
    ) throws(LeafError) -> Submission {
        try submission(
            of: request, cancellation,
            onEvent: { event in if case .finished(let answer) = event { onAnswer(answer) } })
    }

    /// Lets all of them join the next sweep on which there is room.
    package func begin(_ submissions: [Submission]) {
        let makers = submissions.flatMap(\.makers)
        if !makers.isEmpty { engine.add(makers) }
    }
}
