import Leafcutter

/// `leafcutter generate MODEL PROMPT --suffix TEXT`: one blank between the two.
extension GenerateCommand {
    func runSuffix(_ suffix: String, _ options: GenerationOptions, _ terminal: Terminal) throws(LeafError) {
        let began = ContinuousClock.now
        guard requests == nil, ids == nil, samples == 1 else {
            throw LeafError(.usage, "--suffix takes one prompt as a text and gives one text; see leafcutter fill")
        }
        guard case .text(let prompt) = try readPrompt() else { return }
        let text = BlankText(before: prompt, after: suffix)
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model)
        let request = try file.request(toFill: text, options, longest: options.maxTokens)
        try FillJob.noteUnknowns(in: text, file, terminal)
        var failure: LeafError?
        try FillJob(file: file, requests: [request], engine: engine, began: began).run(batch: 1, terminal) { answer in
            switch answer.outcome {
            case .failure(let error): failure = error
            case .success(let filling):
                let blank = filling.blanks[0]
                if common.isJSON {
                    terminal.print(
                        GenerationAnswer(
                            request: GenerationRequest(prompt: request.context, options: options),
                            generation: Generation(filling, of: request), model: answer.model,
                            loadSeconds: answer.loadSeconds
                        ).json())
                } else {
                    terminal.progress.clear()
                    terminal.output.write(blank.text + "\n")
                    terminal.output.flush()
                }
                if options.decoding == .sampling, options.seed == nil { terminal.note("seed \(filling.seed)") }
            }
        }
        if let failure { throw failure }
    }
}
