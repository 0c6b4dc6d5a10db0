import LeafFormat

/// Errors of requests that never became whole.
extension ServedError {
    static let requestTimeout = ServedError(
        status: .requestTimeout, "the request did not come in time; send it at once")
    static let headTooLong = ServedError(
        status: .headTooLarge, "the request's headers are too long; send fewer")
    static let noRoom = unavailable(
        "there is no room for more requests at the moment; try again", code: "overloaded", retryAfter: secondsToRoom)

    /// - Parameter reason: what is wrong with it.
    static func malformed(_ reason: String) -> ServedError {
        ServedError(
            status: .badRequest, "the request is not HTTP/1.1: \(reason); send it as RFC 9112 has it")
    }

    static let badLine = malformed("its first line is not a method, a path and HTTP/1.1, with one space between them")
    static let badTarget = malformed("what it asks for is no path that begins with one slash")
    static let badField = malformed("a line of its head is not a name, a colon and a value that can be printed")
    static let badChunk = malformed("a chunk of its body has no length, or another one than it says")
    static let unknownVersion = ServedError(
        status: .unknownVersion, "the server speaks HTTP/1.1 and HTTP/1.0 alone; send one of them")
    static let unknownCoding = ServedError(
        status: .notImplemented,
        "the only 'Transfer-Encoding' here is chunked, once; send the body so, or with 'Content-Length'")
    static let noTunnel = ServedError(
        status: .notFound, "the server leads to no other; ask it for its own paths, see /openapi.json",
        code: "unknown_url")
    static let unreadable = ServedError(
        status: .badRequest,
        "the request is no HTTP/1.1 that can be read; look at its first line, its headers and its chunks")
    static let unknownExpectation = ServedError(
        status: .expectationFailed, "the only thing to Expect here is 100-continue")

    /// What libevent would say in words of its own about a request that it cannot read.
    ///
    /// It also says 413 where the chunks of a body, or what follows them, make no sense. What is too long is found out
    /// before.
    init(libeventStatus status: Int) { self = status == 417 ? .unknownExpectation : .unreadable }

    static func bodyTooLong(_ limit: Int) -> ServedError {
        ServedError(
            status: .contentTooLarge, "the body has more than the \(limit) bytes that a request may have")
    }

    var lastWordsBody: String { body.line + "\n" }

    /// The whole answer, for a connection from which nothing more is taken.
    ///
    /// - Parameter id: what the request is called.
    func lastWords(to id: String) -> [UInt8] {
        let body = lastWordsBody
        let lines =
            ["HTTP/1.1 \(status.rawValue) \(status.reason)", "X-Request-Id: \(id)"]
            + headers.map { "\($0.name): \($0.value)" } + [
                "Content-Type: application/json", "Content-Length: \(body.utf8.count)", "Connection: close", "", body,
            ]
        return Array(lines.joined(separator: "\r\n").utf8)
    }
}
