import CPMAntShape
import LeafArguments
import LeafFormat
import LeafWire
import Leafcutter

/// `leafcutter generate MODEL --requests FILE.jsonl`
extension GenerateCommand {
    /// One line, known to make sense.
    private struct Asked {
        let id: JSON
        /// Nil where it is not wanted beside the answer.
        let prompt: Prompt?
        let request: GenerationRequest
    }

    func runRequests(
        _ source: RequestSource, _ defaults: GenerateInput.Defaults, _ terminal: Terminal
    ) throws(LeafError) {
        let start = ContinuousClock.now
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model, memory: engine.memory, terminal)
        var isPipe = false
        // What is read twice is warned of once.
        var warned = 0
        let echoes = lines.answers.echoesPrompt
        let stream = try RequestStream<Asked>(source, lines, terminal) { line throws(LeafError) in
            guard !line.isBlank else { return nil }
            let input =
                try source.isPlain
                ? GenerateInput(.text(line.plainText()), defaults) : GenerateInput(json: line.bytes, defaults)
            let request = try input.request(for: file)
            if let logprobs = request.options.logprobs, isPipe, logprobs > Self.logprobsOfPipe(defaults) {
                throw LeafError(
                    .usage,
                    "'logprobs' is \(logprobs), more than the \(Self.logprobsOfPipe(defaults)) that a pipe is planned for; "
                        + "--logprobs says how many it may be")
            }
            if line.number > warned {
                warned = line.number
                Self.warn(
                    of: request, isEmpty: input.isEmpty(request), file, "\(source.path), line \(line.number): ",
                    terminal)
            }
            return Asked(
                id: input.id?.json ?? .integer(line.number), prompt: echoes ? input.prompt : nil, request: request)
        }
        isPipe = !stream.isRepeatable
        let survey = try stream.survey(
            sequences: batch.count, unknown: { Self.demand(of: defaults, context: $0) },
            demands: { [$0.request.demand(in: file.configuration)] },
            unknownAnswer: {
                .generation(tokens: $0, samples: defaults.samples, logprobs: Self.logprobsOfPipe(defaults))
            },
            answer: { $0.request.answerRoom })
        let run = try SharedRun(survey, sequences: batch.count, engine, file, since: start, terminal)
        let tally = RequestTally()
        tally.drafts = DraftTally()
        let writer = AnswerWriter(
            lines.answers,
            columns: ["id"] + (echoes ? ["prompt"] : []) + ["text", "finish_reason", "seed", "error"],
            terminal)
        try run.answer(
            stream, tally, to: writer, phase: "generating",
            requests: { [$0.request] },
            take: { (asked, _, event: GenerationEvent) in
                switch event {
                case .piece(let piece):
                    tally.tokens += piece.id == nil ? 0 : 1
                    return nil
                case .progress: return nil
                case .finished(.failure(let error)): return .failed(error, id: asked.id)
                // What was stopped before its first token is no answer.
                case .finished(.success(let generation)) where generation.isUnbegun: return .cancelled
                case .finished(.success(let generation)):
                    tally.drafts?.add(generation)
                    let answer = GenerationAnswer(asked.request, generation, run.model, loadSeconds: nil)
                    return .answered(answer.json(id: asked.id, echoing: asked.prompt))
                }
            })
        try run.finish(tally, writer)
    }

    /// Log-probabilities a token that lines of a pipe may ask for: what their answers take is planned for before they
    /// come.
    private static func logprobsOfPipe(_ defaults: GenerateInput.Defaults) -> Int {
        max(20, defaults.options.logprobs ?? 0)
    }

    /// What a request of a pipe may need.
    private static func demand(of defaults: GenerateInput.Defaults, context: Int) -> Demand {
        let width = if case .beams(let beams) = defaults.options.decoding { beams } else { defaults.samples }
        var options = defaults.options
        options.logprobs = logprobsOfPipe(defaults)
        return Demand(
            pages: width * Demand.pages(holding: context), sequences: width, longest: context, firstRows: context,
            stepRows: width,
            logitRows: width,
            heapBytes: context * Demand.rowHeapBytes
                + width * context * (2 * options.tokenHeapBytes + GenerationRequest.eventHeapBytes)
                + 2 * width * GenerationOptions.mostStopHeapBytes)
    }

    private static func warn(
        of request: GenerationRequest, isEmpty: Bool, _ file: ModelFile, _ prefix: String, _ terminal: Terminal
    ) {
        if isEmpty { terminal.warn(prefix + "nothing of the prompt is known; the text begins from <s> alone") }
        if let warning = request.lengthWarning(in: file.configuration) { terminal.warn(prefix + warning) }
    }
}

extension Generation {
    /// Whether it was stopped before anything came of it.
    fileprivate var isUnbegun: Bool { samples.allSatisfy { $0.finishReason == .interrupted && $0.ids.isEmpty } }
}

extension GenerationRequest {
    /// What its answer takes.
    var answerRoom: AnswerRoom {
        .generation(tokens: options.maxTokens, samples: samples, logprobs: options.logprobs)
    }

    /// The warning for a prompt that is longer than the texts CPM-Ant was trained on; nil if it is not.
    func lengthWarning(in configuration: ModelConfiguration) -> String? {
        let length = prompt.length(in: configuration)
        guard length > PromptRows.trainedLength else { return nil }
        return
            "the prompt has \(length) tokens, soft prompt included; CPM-Ant was trained on \(PromptRows.trainedLength) "
            + "and does less well beyond"
    }
}

/// `103=-5`
struct LogitBiasArgument: ArgumentValue {
    let id: Int32
    let value: Float

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let id = Int32(argument: String(parts[0])),
            let value = Float(argument: String(parts[1]))
        else { return nil }
        self.id = id
        self.value = value
    }

    static func doubt(about argument: String) -> String? {
        argument.split(separator: "=", maxSplits: 1).last.flatMap { Float.doubt(about: String($0)) }
    }

    static var expectation: String { "a token id and what to add to its logit, such as 103=-5" }
}

extension Compatibility: ArgumentValue {}
