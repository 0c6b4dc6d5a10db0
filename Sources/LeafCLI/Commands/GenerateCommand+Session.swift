import LeafSystem
import Leafcutter

/// `leafcutter generate MODEL --session FILE`
extension GenerateCommand {
    /// - Throws: `.usage` for options that belong to a session, where there is none.
    func openSession() throws(LeafError) -> Session? {
        guard let session else {
            let lonely = sessionInterval != nil ? "--session-every" : quietsPast ? "--quiet-past" : nil
            guard let lonely else { return nil }
            throw LeafError(.usage, "\(lonely) belongs to --session FILE, which is missing")
        }
        return try Session(path: session, interval: sessionInterval)
    }

    /// The model, what it is to read, the command with what the session knows, and the tokens that the session has.
    ///
    /// - Parameter session: has the prompt and the options that were not typed.
    func openPrompt(
        or session: Session?, _ terminal: Terminal
    ) throws(LeafError) -> (file: ModelFile, prompt: Prompt, command: GenerateCommand, pastTokens: Int) {
        // What is missing is said before a large model is opened.
        let given = try session == nil ? readPrompt() : givenPrompt()
        var file = try tuning.open(model, memory: engine.memory, terminal)
        var saved: Session.Contents?
        if let session { saved = try file.contents(of: session) }
        let command = saved.map { continuing($0) } ?? self
        try command.checkQuietPast()
        guard let prompt = given ?? saved.map({ Prompt.ids($0.promptIDs) }) else {
            throw Self.missingPrompt(in: session)
        }
        return (file, prompt, command, saved?.tokens ?? 0)
    }

    private static func missingPrompt(in session: Session?) -> LeafError {
        guard let session else { return missingPrompt }
        return LeafError(
            .usage,
            "PROMPT is missing, and \(session.path) does not exist yet; give a text, - for standard input, or --ids")
    }

    /// The command as it would be with all options of a session typed.
    private func continuing(_ saved: Session.Contents) -> GenerateCommand {
        var command = self
        var typed = given
        // A temperature of 0 says how to choose, and nothing of the temperature.
        let isGreedyByTemperature = options.temperature == 0
        if isGreedyByTemperature { typed.remove("temperature") }
        if isGreedy || beams != nil || isGreedyByTemperature { typed.insert("decoding") }
        var taken = (try? definiteOptions()) ?? options
        saved.complete(&taken, samples: &command.samples, except: typed)
        (command.isGreedy, command.beams) =
            switch taken.decoding {
            case .greedy: (true, nil)
            case .beams(let width): (false, width)
            case .sampling: (false, nil)
            }
        command.options = taken
        command.allowsEmpty = false
        command.biases = []
        (command.maxTokens, command.task, command.segment) = (taken.maxTokens, taken.task, taken.segment)
        if !typed.contains("kv"), let kv = saved.value(of: "kv").flatMap({ KVPrecision(rawValue: $0) }) {
            command.engine.kv = kv
        }
        if !typed.contains("activations"),
            let activations = saved.value(of: "activations").flatMap({ ActivationPrecision(rawValue: $0) })
        {
            command.engine.activations = activations
        }
        return command
    }

    private func checkQuietPast() throws(LeafError) {
        guard quietsPast, common.isJSON || samples > 1 || beams != nil else { return }
        throw LeafError(
            .usage, "--quiet-past prints the rest of one text; it cannot be given with --json, --beams or -n")
    }

    /// What stands behind a text that was printed as it came.
    func ending(of generation: Generation, on terminal: Terminal) -> String {
        guard quietsPast, !terminal.output.isTerminal else { return "\n" }
        // The next part is to follow the last character.
        return generation.sweeps > 0 && generation.samples[0].finishReason == .stop ? "\n" : ""
    }

    /// Tells how a session can go on; of one that was not saved the error speaks.
    func tell(of session: Session, _ generation: Generation, _ terminal: Terminal) {
        guard !terminal.interrupt.isRequested, session.failure == nil else { return }
        let reasons = generation.samples.map(\.finishReason)
        let origin = generation.sweeps == 0 ? "all of it was in \(session.path)" : "\(session.path) has all of it"
        if reasons.allSatisfy({ $0 == .stop }) {
            terminal.note("\(origin); the text ended by itself, and no larger --max-tokens continues it")
        } else if beams != nil {
            terminal.note(origin)
        } else if reasons.contains(.length) {
            terminal.note("\(origin); a larger --max-tokens continues it")
        }
    }

    func interruption(of generation: Generation, _ session: Session?) -> LeafError {
        LeafError(
            .cancelled,
            "interrupted after \(Quantity.count(generation.completionTokens, "token"))"
                + (session.flatMap { FilePath.exists($0.path) ? $0 : nil }
                    .map { "; \($0.path) has them, and the same command goes on" } ?? ""))
    }
}

/// The part of a text that earlier runs have not printed.
struct NewPart {
    private let tokenizer: Tokenizer?
    /// Tokens of earlier runs that have not come again.
    private var left: Int
    private var past: [Int32] = []
    /// Bytes of the text that have come, and that were printed, by earlier runs or this one.
    private var (come, printed) = (0, 0)

    /// - Parameter tokens: of earlier runs.
    init(after tokens: Int, _ tokenizer: Tokenizer?) {
        left = tokens
        self.tokenizer = tokenizer
    }

    /// Bytes that it takes: an id of each token in an array that has doubled, and the text of all.
    static func bytes(tokens: Int) -> Int { tokens *| 128 }

    /// What of a piece is new.
    mutating func take(_ piece: GeneratedPiece) -> String {
        come += piece.text.utf8.count
        if left > 0 {
            guard let id = piece.id else { return "" }
            past.append(id)
            left -= 1
            if left == 0 {
                // What was held back at the end of a run was printed there.
                printed = max(come, (try? tokenizer?.decode(past))?.utf8.count ?? 0)
                past = []
            }
            return ""
        }
        let new = come - printed
        guard new > 0 else { return "" }
        printed = come
        return String(decoding: piece.text.utf8.suffix(new), as: UTF8.self)
    }
}
