/// What a request is called: in its answer's `X-Request-Id`, and in the log.
enum RequestID {
    /// Longer than the numbers that proxies give.
    static let longest = 128

    /// One that no other request has, of this server or another.
    static func make() -> String { "req_" + AnswerDesk.randomID() }

    /// Whether a client's own can stand in a line of a log, where a blank ends a word.
    static func isKept(_ name: String) -> Bool {
        (1...longest).contains(name.utf8.count) && name.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
