import CPMAntShape
public import LeafFormat
public import LeafGeneration
import LeafTokenizer

extension Model {
    /// Fills the blanks of a text: `<blank:3>` is three tokens, `<blank>` as many as are best.
    ///
    /// - Parameters:
    ///   - longest: tokens of a blank without a number at most.
    ///   - isCancelled: asked many times a second.
    /// - Returns: the whole text, and what was found.
    /// - Throws: `.usage` for what makes no sense, `.budget` when the model was opened for less, `.cancelled`.
    public func fill(
        _ text: String, _ options: GenerationOptions = .filling, longest: Int = FillRequest.usualLongest,
        isCancelled: () -> Bool = { false }
    ) throws(LeafError) -> (text: String, filling: Filling) {
        let text = try BlankText(text)
        let request = try file.request(toFill: text, options, longest: longest)
        var result = Result<Filling, LeafError>.failure(LeafError(.cancelled, "stopped"))
        try fill([request], isCancelled: isCancelled) { result = $1 }
        let filling = try result.get()
        return (text.filled(with: filling.blanks.map(\.text)), filling)
    }

    /// Fills the blanks of any number of texts, as much at once as the model was opened for. Generations ride along.
    ///
    /// - Parameters:
    ///   - isCancelled: asked many times a second; what has not been filled then fails with `.cancelled`.
    ///   - onAnswer: handed a request's place and what became of it, on the calling thread.
    /// - Throws: `.usage` if any request makes no sense; none has begun then.
    public func fill(
        _ requests: [FillRequest], isCancelled: () -> Bool = { false },
        onAnswer: (_ place: Int, _ filling: Result<Filling, LeafError>) -> Void
    ) throws(LeafError) {
        for request in requests { try request.validate(for: file.configuration) }
        collect(
            requests.count, isCancelled: isCancelled,
            tracks: { place, cancellation, deliver in
                FillRun(requests[place], on: self, cancellation, deliver: deliver).makers()
            },
            take: { place, filling in
                onAnswer(place, filling)
                return true
            })
    }
}

/// One request on its way: the texts that are tried together, then those that come of them. Handed to the engine's queue,
/// which alone touches it then.
final class FillRun: @unchecked Sendable {
    private let request: FillRequest
    private let engine: Engine
    private let configuration: ModelConfiguration
    private let tokenizer: Tokenizer?
    private let progress: FillProgress
    private let deliver: @Sendable (Result<Filling, LeafError>) -> Void
    private var search: FillSearch
    /// Of the candidates under way.
    private var results: [Result<[[TokenLogprobs]], LeafError>?] = []

    init(
        _ request: FillRequest, on model: Model, _ cancellation: Cancellation,
        deliver: @escaping @Sendable (Result<Filling, LeafError>) -> Void
    ) {
        self.request = request
        engine = model.engine
        configuration = model.file.configuration
        tokenizer = model.tokenizer
        progress = FillProgress(request, cancellation: cancellation)
        self.deliver = deliver
        search = FillSearch(request)
    }

    /// What makes the tracks of the next candidates.
    func makers() -> [Engine.TrackMaker] {
        results = Array(repeating: nil, count: search.candidates.count)
        return search.candidates.indices.map { place in { self.track(place) } }
    }

    private func track(_ place: Int) -> FillTrack {
        FillTrack(
            request, search.candidates[place], known: search.known, for: configuration, progress: progress,
            deliver: { self.take($0, of: place) })
    }

    private func take(_ result: Result<[[TokenLogprobs]], LeafError>, of place: Int) {
        if case .failure = result { progress.isGivenUp = true }
        results[place] = result
        guard results.allSatisfy({ $0 != nil }) else { return }
        do throws(LeafError) {
            var found: [[[TokenLogprobs]]] = []
            for result in results { if let result { found.append(try result.get()) } }
            search.take(found)
        } catch {
            return deliver(.failure(reason ?? error))
        }
        guard search.candidates.isEmpty else { return engine.add(makers()) }
        deliver(.success(filling))
    }

    /// Why it failed, rather than that the others were stopped then.
    private var reason: LeafError? {
        for case .failure(let error)? in results where error.kind != .cancelled { return error }
        return nil
    }

    private var filling: Filling {
        let seconds = progress.seconds
        return Filling(
            ids: search.ids,
            blanks: zip(search.starts, search.filled).map { start, tokens in
                let ids = tokens.map(\.chosen.id)
                return Filling.Blank(
                    start: start, tokens: tokens, text: tokenizer.flatMap { try? $0.decode(ids) } ?? "")
            },
            seed: progress.seed, sweeps: progress.sweeps, rows: progress.rows, waitSeconds: seconds.wait,
            prefillSeconds: seconds.prefill, decodeSeconds: seconds.decode)
    }
}
