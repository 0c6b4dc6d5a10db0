import Glibc
import LeafSystem
import Leafcutter

/// Standard output. If its reader goes away, output ends quietly; `finish` reports other failures.
///
/// On a terminal a text commands nothing: what a model wrote, or the names in a file, may hold escape sequences. A file
/// or a pipe gets the bytes as they are.
final class Output {
    private static let bufferBytes = 1 << 16

    private var pending: [UInt8] = []
    private var failure: Int32?
    /// Columns of the terminal's line that are written; 0 where it is no terminal.
    private(set) var column = 0
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let target = StraightOutput(STDOUT_FILENO) { Interrupt.isAnyRequested }
    /// Called once, when writing makes no sense any more.
    var whenClosed: () -> Void = {}

    /// Whether nobody reads the output any more.
    var isClosed: Bool { failure != nil }

    /// Writes a text, at the next `flush` or when the buffer is full.
    func write(_ text: String) {
        guard !isClosed else { return }
        let text = isTerminal ? text.printableLines : text
        pending += text.utf8
        if isTerminal { column = TerminalWidth.column(after: text, from: column) }
        if pending.count >= Self.bufferBytes { flush() }
    }

    func flush() {
        if failure == nil {
            failure = pending.withUnsafeBytes { target.write($0) }
            if isClosed { whenClosed() }
        }
        pending.removeAll(keepingCapacity: true)
    }

    /// - Throws: `.io` if something could not be written, except because the reader went away; `.cancelled` if an
    ///   interruption ended the wait for a reader.
    func finish() throws(LeafError) {
        flush()
        guard let failure, failure != EPIPE else { return }
        guard failure != EINTR else { throw LeafError(.cancelled, "interrupted") }
        throw LeafError(.io, "standard output: \(String(cString: strerror(failure))); the result is not complete")
    }

    /// Writes one text and nothing else.
    static func print(_ text: String) throws(LeafError) {
        let output = Output()
        output.write(text)
        try output.finish()
    }
}

enum StandardError {
    /// A failure here cannot be reported to anybody.
    static func write(_ text: String) {
        let target = StraightOutput(STDERR_FILENO) { Interrupt.isAnyRequested }
        _ = Array(text.utf8).withUnsafeBytes { target.write($0) }
    }
}

/// How wide things are on a terminal.
enum TerminalWidth {
    /// Columns of a line.
    static var columns: Int {
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    /// What is not ASCII may take two.
    static func of(_ character: Character) -> Int { character.isASCII ? 1 : 2 }

    /// The column behind a text.
    static func column(after text: String, from column: Int) -> Int {
        let columns = columns
        return text.reduce(column) { column, character in
            if character.isNewline { return 0 }
            let width = of(character)
            return column + width > columns ? width : column + width
        }
    }

    /// The beginning of a text that fits, and its width.
    static func fitted(_ text: String, to columns: Int) -> (text: String, width: Int) {
        var width = 0
        let fitting = text.prefix { character in
            guard width + of(character) <= columns else { return false }
            width += of(character)
            return true
        }
        return (String(fitting), width)
    }
}
