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
    let isTerminal = isatty(STDOUT_FILENO) == 1
    private let target = StraightOutput(STDOUT_FILENO) { Interrupt.isAnyRequested }
    /// What else is on the terminal; nil while nothing is.
    private let progress: ProgressLine?
    /// Called once, when writing makes no sense any more.
    var whenClosed: () -> Void = {}

    init(beside progress: ProgressLine? = nil) { self.progress = progress }

    /// Whether nobody reads the output any more.
    var isClosed: Bool { failure != nil }

    /// Writes a text, at the next `flush` or when the buffer is full.
    func write(_ text: String) {
        guard !isClosed else { return }
        pending += (isTerminal ? text.printableLines : text).utf8
        if pending.count >= Self.bufferBytes { flush() }
    }

    func flush() {
        if failure == nil, !pending.isEmpty {
            if let progress, isTerminal {
                progress.aside { cursor in
                    failure = pending.withUnsafeBytes { target.write($0) }
                    cursor.pass(String(decoding: pending, as: UTF8.self), columns: TerminalWidth.columns)
                }
            } else {
                failure = pending.withUnsafeBytes { target.write($0) }
            }
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
        let remedy = LeafError.remedy(for: failure).map { "; \($0)" } ?? ""
        throw LeafError(
            .io, "standard output: \(String(cString: strerror(failure))); the result is not complete\(remedy)")
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

    /// Writes a sentence as a line; on a terminal it is broken between words.
    static func write(line: String) {
        let lines =
            isatty(STDERR_FILENO) == 1 ? TerminalWidth.wrapped(line, to: TerminalWidth.columns) : [line]
        write(lines.map { $0 + "\n" }.joined())
    }
}
