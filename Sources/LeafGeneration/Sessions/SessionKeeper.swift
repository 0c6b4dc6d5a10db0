import LeafFormat
public import LeafSystem

/// Saves and restores one track's session.
package final class SessionKeeper {
    private let session: Session
    private var head: SessionHead
    /// Tokens of the longest text that the file holds.
    private var savedTokens = 0
    /// Whether something came that the file does not hold.
    private var hasNews = false
    /// Whether there is no file yet.
    private var isNew = false

    /// Whether the request is known to fit its session.
    private let isChecked: Bool

    /// Nil for a request without a session.
    ///
    /// - Parameter request: a result of `resumed(from:)`; any other request fails when it begins.
    package init?(_ request: GenerationRequest, seed: UInt64) {
        guard let session = request.session else { return nil }
        self.session = session
        isChecked = request.sessionOrigin != nil
        head = SessionHead(
            fields: (request.sessionOrigin ?? []) + request.sessionFields, promptIDs: request.prompt.ids, seed: seed)
    }

    /// Whether this keeper has the session, and nobody else.
    private var holds = false

    /// Takes the session for this run, and passes the saved state to `body`, if there is one.
    ///
    /// - Throws: `.badInput` for a damaged file, `.usage` for one of another request, `.io` if another run has it.
    func restore(_ body: (SessionReader) throws(LeafError) -> Void) throws(LeafError) {
        guard isChecked else {
            throw LeafError(.usage, "\(session.path) was not compared with the model; sessions go with Model.generate")
        }
        try session.hold()
        holds = true
        let found: Void? = try session.read(comparedWith: head) { saved, reader throws(LeafError) in
            try head.differences(from: saved).check(session.path)
            try body(reader)
            try reader.finish()
            savedTokens = saved.tokens
        }
        isNew = found == nil
    }

    /// Whether it is time to save, after a sweep.
    ///
    /// - Parameter tokens: of the longest text.
    func isDue(tokens: Int) -> Bool {
        hasNews = true
        return session.interval.map { tokens - savedTokens >= $0 } ?? false
    }

    /// Lets other runs have the session: nothing is saved any more.
    func letGo() {
        if holds { session.letGo() }
        holds = false
    }

    /// Whether the file lacks the latest state.
    var isStale: Bool { isNew || hasNews }

    /// - Parameters:
    ///   - tokens: tokens of the longest text.
    ///   - isLast: whether the generation has ended.
    func save(tokens: Int, isLast: Bool, _ body: (SessionWriter) throws(LeafError) -> Void) {
        head.tokens = tokens
        let isSaved = session.save(isLast: isLast) { writer throws(LeafError) in
            try head.write(to: writer)
            try body(writer)
        }
        guard isSaved else { return }
        (savedTokens, hasNews, isNew) = (tokens, false, false)
    }
}

extension GenerationRequest {
    public func resumed(from origin: SessionOrigin) throws(LeafError) -> GenerationRequest {
        guard session != nil, sessionOrigin == nil else { return self }
        return try resumed(from: origin.fields(self))
    }

    /// The request to continue with: it takes the saved seed if it has none.
    ///
    /// - Parameter origin: everything besides the request that decides the text.
    /// - Throws: `.usage` naming all that differs, `.badInput` for a damaged file, `.io`.
    package func resumed(from origin: [SessionHead.Field]) throws(LeafError) -> GenerationRequest {
        guard let session else { return self }
        let head = SessionHead(
            fields: origin + sessionFields, promptIDs: prompt.ids, seed: options.seed ?? 0)
        try head.validate()
        var request = self
        request.sessionOrigin = origin
        try session.read(comparedWith: head) { saved, _ throws(LeafError) in
            var differences = head.differences(from: saved)
            if let seed = options.seed, seed != saved.seed {
                differences.add("was begun with seed \(saved.seed), this run has seed \(seed)", "leave the seed out")
            }
            // Beam search gives one token more than requested, and the length is the same as before.
            if case .beams = options.decoding {
            } else if saved.tokens > options.maxTokens {
                differences.add(
                    "holds \(saved.tokens.of("token")), max-tokens \(options.maxTokens) counts them too",
                    "give at least as many")
            }
            try differences.check(session.path)
            request.options.seed = saved.seed
        }
        return request
    }
}
