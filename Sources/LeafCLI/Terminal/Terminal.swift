import Glibc
import LeafFormat
import LeafSystem
import Leafcutter

/// The output of a command: results go to standard output, everything else to standard error.
final class Terminal {
    let output: Output
    let progress: ProgressLine
    let isQuiet: Bool
    let isVerbose: Bool
    /// Whoever looks at it is stopped cleanly from then on; a command that never does is ended by the system.
    var interrupt: Interrupt { .shared }

    init(_ options: CommonOptions) {
        output = Output()
        isQuiet = options.isQuiet
        isVerbose = options.isVerbose && !options.isQuiet
        progress = ProgressLine(isShown: !options.isQuiet, isVerbose: isVerbose, beside: output)
    }

    /// Prints one of many answers at once.
    func print(_ answer: JSON) { print(line: answer.line) }

    func print(line: String) {
        progress.clear()
        output.write(line + "\n")
        output.flush()
    }

    /// Prints a line for the user, unless `--quiet` was given.
    func note(_ line: String) {
        guard !isQuiet else { return }
        progress.clear()
        // A plan has several lines; within one nothing moves the cursor.
        for part in line.split(separator: "\n", omittingEmptySubsequences: false) {
            StandardError.write(String(part).printable + "\n")
        }
    }

    /// Prints a line only with `--verbose`.
    func detail(_ line: @autoclosure () -> String) {
        if isVerbose { note(line()) }
    }

    /// Prints a warning, even with `--quiet`.
    func warn(_ sentence: String) {
        progress.clear()
        StandardError.write("warning: \(sentence.printable)\n")
    }
}
