import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter
import Synchronization

/// A request to continue texts under way: from the events of its parts to its answer, or to the chunks of a stream.
final class CompletionRun: Sendable {
    /// What has come for a prompt.
    private struct State {
        /// What scoring has given, part by part, and how many of those are missing.
        var scored: [[TokenLogprobs]]
        var missing: Int
        var texts: CompletionTexts?
        /// Pieces that have not become chunks.
        var pieces: [CompletionWriter.Piece] = []
        /// Where the next token of each text begins.
        var offsets: [Int]
        var isOpened = false
        var isClosed = false
    }

    private struct States {
        var prompts: [State]
        var hasBegun = false
    }

    private let plan: CompletionPlan
    private let tell: ServedRequest.Teller
    private let states: Mutex<States>

    init(_ plan: CompletionPlan, tell: @escaping ServedRequest.Teller) {
        (self.plan, self.tell) = (plan, tell)
        let prompts = plan.prompts.map { prompt in
            State(
                scored: Array(repeating: [], count: prompt.echoParts.count), missing: prompt.echoParts.count,
                texts: prompt.textPart == nil ? CompletionTexts(emptyTexts: plan.choices) : nil,
                offsets: Array(repeating: prompt.echo?.length ?? 0, count: plan.samples))
        }
        states = Mutex(States(prompts: prompts))
    }

    /// - Throws: `.busy`, `.usage`; nothing is told then.
    func begin(on model: Model, mostSequences: Int, _ cancellation: Cancellation) throws(LeafError) {
        // A prompt that is only shown needs no sweep.
        guard !plan.parts.isEmpty else { return end(nil) }
        let receiver = Carrier.Receiver(
            part: { [self] in take($1, of: $0) },
            progress: { [self] progress in
                tellChunks { _ in }
                tell(.progress(progress))
            },
            end: { [self] in end($0) })
        try Carrier(plan.parts, on: model, mostSequences: mostSequences, cancellation, receiver).begin()
    }

    private func take(_ event: Carrier.PartEvent, of index: Int) {
        if event.tokens > 0 { tell(.tokens(event.tokens)) }
        let number = plan.roles[index].prompt
        switch event {
        case .piece(let piece):
            guard plan.form.isStream else { return }
            tellChunks(of: number) { state in
                state.pieces.append(
                    CompletionWriter.Piece(
                        sample: piece.sample, id: piece.id, text: piece.text, logprobs: piece.logprobs))
            }
        case .answer(.logprobs(let entries)):
            let part = index - plan.prompts[number].echoParts.lowerBound
            tellChunks(of: number) { state in
                state.scored[part] = entries
                state.missing -= 1
            }
        case .answer(.generation(let generation)):
            let texts = CompletionTexts(generation, choices: plan.choices)
            tellChunks(of: number) { $0.texts = texts }
        case .answer(.filling(let filling)):
            guard case .fill(let request) = plan.parts[index] else { return }
            let generation = Generation(filling, of: request)
            let texts = CompletionTexts(generation, choices: plan.choices)
            tellChunks(of: number) { state in
                // It has come at once.
                state.pieces = plan.writer.pieces(of: generation.samples[0])
                state.texts = texts
            }
        case .answer: break
        }
    }

    private func end(_ error: LeafError?) {
        if let error { return tell(.finished(.failure(error))) }
        guard plan.form.isStream else { return tell(.finished(.success(answer))) }
        tellChunks { _ in }
        if plan.form.includesUsage { tell(.chunk(plan.writer.closing(usage: usage))) }
        tell(.finished(.success(nil)))
    }

    // MARK: Whole answers

    private var answer: JSON {
        let prompts = states.withLock(\.prompts)
        var choices: [JSON] = []
        for (prompt, state) in zip(plan.prompts, prompts) {
            let echo = prompt.echo.map { echo in
                (echo.text, echo.length, plan.writer.hasLogprobs ? echo.tokens(Array(state.scored.joined())) : [])
            }
            for sample in state.texts?.samples ?? [] {
                choices.append(plan.writer.choice(sample, index: choices.count, echo: echo))
            }
        }
        return plan.writer.answer(choices, usage: usage, prompts: plan.prompts.map(\.ids))
    }

    private var usage: JSON {
        let completion = states.withLock { $0.prompts.reduce(0) { $0 + ($1.texts?.completionTokens ?? 0) } }
        return .usage(prompt: plan.prompts.reduce(0) { $0 + $1.ids.count }, completion: completion)
    }

    // MARK: Chunks

    /// Takes something that has come for a prompt, and tells what can be told now.
    ///
    /// - Parameter number: nil for nothing but the time that goes on.
    private func tellChunks(of number: Int? = nil, _ take: (inout State) -> Void) {
        let chunks: [JSON] = states.withLock { states in
            if let number { take(&states.prompts[number]) }
            guard plan.form.isStream else { return [] }
            var chunks: [JSON] = []
            if !states.hasBegun || number == nil {
                states.hasBegun = true
                for prompt in plan.prompts.indices { chunks += self.chunks(of: prompt, &states.prompts[prompt]) }
            } else if let number {
                chunks = self.chunks(of: number, &states.prompts[number])
            }
            return chunks
        }
        for chunk in chunks { tell(.chunk(chunk)) }
    }

    private func chunks(of prompt: Int, _ state: inout State) -> [JSON] {
        // The prompt stands in front of its texts, so they wait until it is scored.
        guard state.missing == 0, !state.isClosed else { return [] }
        let (writer, first) = (plan.writer, prompt * plan.choices)
        var chunks: [JSON] = []
        if !state.isOpened {
            state.isOpened = true
            let echo = plan.prompts[prompt].echo.map { ($0.text, $0.tokens(Array(state.scored.joined()))) }
            for choice in 0..<plan.choices {
                let ids = first + choice == 0 ? plan.prompts.map(\.ids) : []
                if let chunk = writer.opening(index: first + choice, echo: echo, prompts: ids) { chunks.append(chunk) }
            }
            state.scored = []
        }
        for piece in state.pieces {
            let offset = state.offsets[piece.sample]
            if let id = piece.id { state.offsets[piece.sample] += writer.length(of: id) }
            if let chunk = writer.chunk(piece, index: first + piece.sample, offset: offset) { chunks.append(chunk) }
        }
        state.pieces = []
        if let texts = state.texts {
            state.isClosed = true
            for (choice, sample) in texts.samples.enumerated() {
                chunks.append(writer.closing(sample, index: first + choice))
            }
        }
        return chunks
    }
}
