import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter

/// Texts to continue.
extension AnswerDesk {
    /// - Throws: `.usage` and `.tooLong`.
    func completions(_ body: ArraySlice<UInt8>) throws(LeafError) -> ServedRequest {
        var reader = JSONReader(body)
        let input = try CompletionInput(&reader, settings.defaults.generate, at: .server)
        try reader.end()
        var options = input.options
        options.seed = options.seed ?? GenerationOptions.freshSeed()
        if input.samples > input.choices { options.logprobs = options.logprobs ?? 0 }
        var plan = makePlan(
            isChat: false, input.model, input.form, options, hasLogprobs: input.options.logprobs != nil,
            samples: input.samples, choices: input.choices)
        for text in input.texts {
            if let suffix = input.form.suffix, case .text(let before) = text.prompt {
                let request = try file.request(
                    toFill: BlankText(before: before, after: suffix), options, longest: options.maxTokens)
                try check(.fill(request))
                let ids = request.context.ids
                let echo = input.form.echoesPrompt ? EchoedPrompt(shown: before) : nil
                plan.unknown += request.context.unknown.count
                plan.add(ids, echo: echo, scoring: [], text: .fill(request))
                continue
            }
            let rows = try file.rows(of: text.prompt, options)
            let generation = GenerationRequest(prompt: rows, options: options, samples: input.samples)
            try check(.generate(generation), texts: Self.textsField(options, input.samples, input.choices))
            let echo = input.form.echoesPrompt ? EchoedPrompt(text, ids: rows.ids, file) : nil
            plan.unknown += rows.unknown.count
            plan.add(
                rows.ids, echo: echo,
                scoring: echo == nil || input.options.logprobs == nil
                    ? [] : try scoring(rows.ids, of: text, options, top: input.options.logprobs ?? 0),
                text: input.isEmpty ? nil : .generate(generation))
        }
        return try served(plan, options, isEmpty: input.isEmpty)
    }

    /// - Throws: `.usage` and `.tooLong`.
    func chat(_ body: ArraySlice<UInt8>) throws(LeafError) -> ServedRequest {
        var reader = JSONReader(body)
        let input = try ChatInput(&reader, settings.defaults.generate, at: .server)
        try reader.end()
        var options = input.options
        options.seed = options.seed ?? GenerationOptions.freshSeed()
        if input.samples > input.choices { options.logprobs = options.logprobs ?? 0 }
        var plan = makePlan(
            isChat: true, input.model, input.form, options, hasLogprobs: input.options.logprobs != nil,
            samples: input.samples, choices: input.choices)
        let rows = try file.rows(of: .text(input.prompt), options)
        let generation = GenerationRequest(prompt: rows, options: options, samples: input.samples)
        try check(.generate(generation), texts: Self.textsField(options, input.samples, input.choices))
        plan.unknown = rows.unknown.count
        plan.add(rows.ids, echo: nil, scoring: [], text: .generate(generation))
        return try served(plan, options)
    }

    /// The field that says how many texts there are at once.
    private static func textsField(_ options: GenerationOptions, _ samples: Int, _ choices: Int) -> String {
        if case .beams = options.decoding { return "beams" }
        return samples > choices ? "best_of" : "n"
    }

    private func makePlan(
        isChat: Bool, _ model: String?, _ form: OpenAIForm, _ options: GenerationOptions, hasLogprobs: Bool,
        samples: Int, choices: Int
    ) -> CompletionPlan {
        CompletionPlan(
            samples: samples, choices: choices, form: form,
            writer: CompletionWriter(
                isChat: isChat, envelope: envelope(model), seed: options.seed ?? 0, form: form,
                hasLogprobs: hasLogprobs,
                tokens: OpenAILogprobs(file.tokenizer, .server, hasIDs: form.returnsTokenIDs)))
    }

    /// What scores a prompt under the mask of training, everything behind `<s>` generated: under its own mask each
    /// token would see itself. In as many parts as the model's rows of logits make necessary.
    private func scoring(
        _ ids: [Int32], of text: OpenAIText, _ options: GenerationOptions, top: Int
    ) throws(LeafError) -> [EchoRequest] {
        let context = try file.rows(of: .ids(Array(ids.prefix(1))), options)
        let target = Array(ids.dropFirst())
        // Nothing stands in front of the first token that is shown.
        let first = text.hidesBegin ? 1 : 0
        guard first < target.count else { return [] }
        var requests: [EchoRequest] = []
        for part in (first..<target.count).parts(logitRows: capacity.logitRows) {
            let request = EchoRequest(context: context, target: target, part: part, top: top)
            try check(.echo(request))
            requests.append(request)
        }
        return requests
    }

    private func served(
        _ plan: CompletionPlan, _ options: GenerationOptions, isEmpty: Bool = false
    ) throws(LeafError) -> ServedRequest {
        var room = AnswerRoom(held: Self.bytesOfAny, written: Self.bytesOfAny)
        for prompt in plan.prompts {
            // Its ids, in its rows and in those that score it, and as numbers of an answer.
            let parts = 2 + prompt.echoParts.count
            room.held +|= parts *| (16 *| prompt.ids.count +| 512) +| 2 *| (prompt.echo?.text.utf8.count ?? 0)
            room.written +|= plan.form.returnsTokenIDs ? 64 *| prompt.ids.count : 0
            if prompt.echo != nil {
                let logprobs = plan.writer.hasLogprobs ? options.logprobs : nil
                let echo = AnswerRoom.generation(
                    tokens: prompt.ids.count, samples: plan.choices, logprobs: logprobs)
                // Scored once, written with each choice.
                room.held +|= echo.held / plan.choices
                room.written +|= echo.written
            }
            guard !isEmpty else { continue }
            // A stream gives its tokens away one by one, and the model keeps those under way.
            let tokens = plan.form.isStream ? 1 : options.maxTokens
            room = room + .generation(tokens: tokens, samples: plan.samples, logprobs: options.logprobs)
        }
        return try served(
            plan.parts, isStream: plan.form.isStream, ignored: plan.form.ignored, unknown: plan.unknown, room
        ) { [mostSequences] model, cancellation, tell throws(LeafError) in
            try CompletionRun(plan, tell: tell).begin(on: model, mostSequences: mostSequences, cancellation)
        }
    }
}
