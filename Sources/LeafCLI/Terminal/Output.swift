import Glibc
import Leafcutter

/// Standard output. A reader that goes away ends it quietly; other failures are told by `finish`.
final class Output {
    private static let bufferBytes = 1 << 16

    private var pending: [UInt8] = []
    private var failure: Int32?
    /// Told once, when writing has come to make no sense.
    var whenClosed: () -> Void = {}

    /// Whether writing makes no sense any more.
    var isClosed: Bool { failure != nil }

    /// Takes a text; it is out after `flush`, or when much has come together.
    func write(_ text: String) {
        guard !isClosed else { return }
        pending += text.utf8
        if pending.count >= Self.bufferBytes { flush() }
    }

    func flush() {
        if failure == nil {
            failure = writeAll(pending, to: STDOUT_FILENO)
            if isClosed { whenClosed() }
        }
        pending.removeAll(keepingCapacity: true)
    }

    /// - Throws: `.io` if something could not be written, unless the reader just went away.
    func finish() throws(LeafError) {
        flush()
        guard let failure, failure != EPIPE else { return }
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
    /// A failure here has nobody to be told to.
    static func write(_ text: String) {
        _ = writeAll(Array(text.utf8), to: STDERR_FILENO)
    }
}

/// - Returns: the error number if not all bytes could be written.
private func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
    var written = 0
    while written < bytes.count {
        let count = bytes.span.withUnsafeBytes { rest in
            write(descriptor, rest.baseAddress?.advanced(by: written), rest.count - written)
        }
        if count < 0 {
            if errno == EINTR { continue }
            return errno
        }
        written += count
    }
    return nil
}
