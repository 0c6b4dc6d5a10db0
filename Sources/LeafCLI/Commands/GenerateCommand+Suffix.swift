import LeafWire
import Leafcutter

/// `leafcutter generate MODEL PROMPT --suffix TEXT`: one open blank between the two.
extension GenerateCommand {
    static let suffixOfMany = LeafError(
        .usage, "--suffix takes one prompt as a text and gives one text; see leafcutter fill")

    func runSuffix(_ suffix: String, _ options: GenerationOptions, _ terminal: Terminal) throws(LeafError) {
        let began = ContinuousClock.now
        guard ids == nil, samples == 1 else { throw Self.suffixOfMany }
        guard case .text(let prompt) = try readPrompt() else { return }
        let text = BlankText(before: prompt, after: suffix)
        terminal.progress.show("opening \(model)")
        let file = try tuning.open(model, memory: engine.memory, terminal)
        let request = try file.request(toFill: text, options, longest: options.maxTokens)
        try FillJob(file: file, request: request, engine: engine, began: began).run(
            terminal, isJSON: common.isJSON, result: { $0.blanks[0].text },
            json: { filling, answer in
                GenerationAnswer(
                    GenerationRequest(prompt: request.context, options: options), Generation(filling, of: request),
                    answer.model, loadSeconds: answer.loadSeconds
                ).json()
            })
    }
}
