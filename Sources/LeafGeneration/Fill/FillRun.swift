public import CPMAntShape
public import LeafExecutor
import LeafSystem
import LeafTokenizer

extension FillRequest: ModelRequest {
    public typealias Answer = Filling

    /// The demand where one text is tried after the other. `demands` has one for each of them.
    public func demand(in configuration: ModelConfiguration) -> Demand {
        demands(in: configuration).reduce(.nothing, |)
    }

    public var work: RequestWork<Filling> { RequestWork { FillRun(self, $0).tracks() } }
}

/// One request on its way: the texts that are tried together, then those that come of them. Made on the engine's
/// thread, which alone touches it.
private final class FillRun: @unchecked Sendable {
    private let request: FillRequest
    private let context: RequestContext<Filling>
    private let progress: FillProgress
    private var search: FillSearch
    /// Results of the candidates that are running.
    private var results: [Result<[[TokenLogprobs]], LeafError>?] = []

    init(_ request: FillRequest, _ context: RequestContext<Filling>) {
        self.request = request
        self.context = context
        progress = FillProgress(
            request, cancellation: context.cancellation, deliver: { context.tell(.progress($0)) })
        search = FillSearch(request)
    }

    /// The tracks of the next candidates.
    func tracks() -> [any Track] {
        results = Array(repeating: nil, count: search.candidates.count)
        return search.candidates.enumerated().map { number, layout in
            FillTrack(
                request, layout, known: search.known, for: context.configuration, progress: progress,
                deliver: { self.take($0, of: number) })
        }
    }

    private func take(_ result: Result<[[TokenLogprobs]], LeafError>, of candidate: Int) {
        // Without this candidate the others are of no use.
        if case .failure = result { context.cancellation.cancel() }
        results[candidate] = result
        guard results.allSatisfy({ $0 != nil }) else { return }
        do throws(LeafError) {
            var found: [[[TokenLogprobs]]] = []
            for result in results { if let result { found.append(try result.get()) } }
            search.take(found)
        } catch {
            return context.tell(.finished(.failure(reason ?? error)))
        }
        if search.candidates.isEmpty {
            context.tell(.finished(.success(filling)))
        } else {
            context.add { self.tracks() }
        }
    }

    /// The first failure that is not the cancellation which followed it.
    private var reason: LeafError? {
        for case .failure(let error)? in results where error.kind != .cancelled { return error }
        return nil
    }

    private var filling: Filling {
        let seconds = progress.seconds
        return Filling(
            ids: search.ids,
            blanks: zip(search.starts, search.filled).map { start, tokens in
                Filling.Blank(start: start, tokens: tokens, text: text(of: tokens))
            },
            seed: progress.seed, sweeps: progress.sweeps, rows: progress.rows, waitSeconds: seconds.wait,
            prefillSeconds: seconds.prefill, decodeSeconds: seconds.decode)
    }

    private func text(of tokens: [TokenLogprobs]) -> String {
        var text = ""
        for token in tokens {
            guard let word = context.vocabulary?.token(token.chosen.id) else { return "" }
            text += word
        }
        return text
    }
}
