import LeafSystem

/// Delivers the events of one request, and records when they happened.
package final class GenerationReport {
    package let seed: UInt64
    private let promptTokens: Int
    let cancellation: Cancellation
    private let deliver: @Sendable (GenerationEvent) -> Void
    private let created = ContinuousClock.now
    private var began: ContinuousClock.Instant?
    private var firstToken: ContinuousClock.Instant?
    private var sweeps = 0
    private var resumedTokens = 0
    private var drafted = 0
    private var accepted = 0
    /// Rows of logits behind the prompt that gave a token or an end, and the sweeps of single texts that they were on.
    private var (stepTokens, steps) = (0, 0)

    package init(
        _ request: GenerationRequest, cancellation: Cancellation, deliver: @escaping @Sendable (GenerationEvent) -> Void
    ) {
        seed = request.options.seed ?? GenerationOptions.freshSeed()
        promptTokens = request.prompt.ids.count
        self.cancellation = cancellation
        self.deliver = deliver
    }

    func countSweep() {
        if sweeps == 0 { began = .now }
        sweeps += 1
    }

    /// Records the time of the first token that is new.
    func noteToken() { if firstToken == nil { firstToken = .now } }

    /// Counts what one text got on a sweep behind the prompt's.
    func countStep(tokens: Int) {
        stepTokens += tokens
        steps += 1
    }

    func countDrafts(drafted: Int, accepted: Int) {
        self.drafted += drafted
        self.accepted += accepted
    }

    func noteResumed(tokens: Int) { resumedTokens = tokens }

    func tell(_ piece: GeneratedPiece) { deliver(.piece(piece)) }
    func tell(_ progress: SweepProgress) {
        deliver(.progress(progress.ofRequest(sweeps: sweeps, hasTokens: firstToken != nil)))
    }
    func fail(_ error: LeafError) { deliver(.finished(.failure(error))) }

    func finish(_ samples: [Generation.Sample]) {
        let now = ContinuousClock.now
        let began = began ?? now
        let firstToken = firstToken ?? now
        deliver(
            .finished(
                .success(
                    Generation(
                        samples: samples, promptTokens: promptTokens, resumedTokens: resumedTokens, seed: seed,
                        sweeps: sweeps, waitSeconds: (began - created).seconds,
                        prefillSeconds: (firstToken - began).seconds,
                        decodeSeconds: (now - firstToken).seconds, draftedTokens: drafted, acceptedTokens: accepted,
                        stepTokens: stepTokens, steps: steps))))
    }
}

extension Duration {
    fileprivate var seconds: Double { self / .seconds(1) }
}
