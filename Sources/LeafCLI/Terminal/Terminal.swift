import LeafFormat
import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter

/// The output of a command: results go to standard output, everything else to standard error.
final class Terminal {
    let output: Output
    let progress: ProgressLine
    /// For those who speak from another thread.
    let notes: Notes
    let isQuiet: Bool
    let isVerbose: Bool
    /// Whoever looks at it is stopped cleanly from then on; a command that never does is ended by the system.
    var interrupt: Interrupt { .shared }

    init(_ options: CommonOptions) {
        isQuiet = options.isQuiet
        isVerbose = options.isVerbose && !options.isQuiet
        progress = ProgressLine(isShown: !options.isQuiet, isVerbose: isVerbose)
        notes = Notes(beside: progress)
        output = Output(beside: progress)
    }

    /// Prints one of many answers at once.
    func print(_ answer: JSON) { print(line: answer.line) }

    func print(line: String) {
        output.write(line + "\n")
        output.flush()
    }

    /// Prints a line for the user, unless `--quiet` was given.
    func note(_ line: String) {
        if !isQuiet { notes.write(line) }
    }

    /// Tells of characters that the vocabulary lacks, if there are any.
    ///
    /// - Parameters:
    ///   - text: where they stand.
    ///   - verb: what becomes of them.
    func note(_ unknown: UnknownCharacters, of text: String, verb: String = "dropped") {
        guard unknown.count > 0 else { return }
        let named = unknown.named.joined(separator: " ")
        note("\(verb) \(Quantity.count(unknown.count, "character")) of \(text) that the vocabulary lacks: \(named)")
    }

    /// Prints a line only with `--verbose`.
    func detail(_ line: @autoclosure () -> String) {
        if isVerbose { note(line()) }
    }

    /// Lets SIGUSR1 and SIGUSR2 shrink and grow what a model keeps in memory, and shows where its sweeps are.
    /// - Throws: `.io` when the system starts no more threads.
    func attend(_ model: Model) throws(LeafError) {
        progress.follow(model)
        try WorkingSetSignals.apply(to: model, telling: isVerbose ? notes : nil)
    }

    /// Shows that nothing is under way until a pipe brings more; a person who types sees that.
    func waitForRequests(_ finished: Int) {
        guard !StandardInput.isTerminal else { return progress.clear() }
        progress.show(Progress("waiting for requests", finished, "request"))
    }

    /// Prints a warning, even with `--quiet`.
    func warn(_ sentence: String) { notes.warn(sentence) }

    /// Prints the plan of a model that was opened, with `--verbose`, and says why nothing drafts where somebody asked
    /// for it.
    func tellPlan(of model: Model) {
        detail(model.plan.description)
        if let warning = model.draftWarning { warn(warning) }
    }
}

/// Lines on standard error that stay. Any thread may write them.
struct Notes: Sendable {
    private let progress: ProgressLine

    init(beside progress: ProgressLine) { self.progress = progress }

    /// Writes what somebody should know, even with `--quiet`.
    func warn(_ sentence: String) { write("warning: \(sentence.printable)") }

    /// Writes a text of one or several lines.
    func write(_ text: String) {
        progress.aside { cursor in
            // A note does not stand in the middle of a text's line.
            if cursor.column > 0 { StandardError.write("\n") }
            // Within one nothing moves the cursor.
            for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
                StandardError.write(line: String(line).printable)
            }
            cursor.endLine()
        }
    }
}
