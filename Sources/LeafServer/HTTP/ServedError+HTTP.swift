import LeafFormat

/// Errors of requests that never became whole.
extension ServedError {
    static let requestTimeout = ServedError(
        status: 408, "the request did not come in time; send it at once", type: "invalid_request_error")
    static let headTooLong = ServedError(
        status: 431, "the request's headers are too long; send fewer", type: "invalid_request_error")
    static let noRoom = ServedError(
        status: 503, "there is no room for more requests at the moment; try again", type: "server_error",
        code: "overloaded")

    /// - Parameter reason: what is wrong with it.
    static func malformed(_ reason: String) -> ServedError {
        ServedError(
            status: 400, "the request is not HTTP/1.1: \(reason); send it as RFC 9112 has it",
            type: "invalid_request_error")
    }

    static let badLine = malformed("its first line is not a method, a path and HTTP/1.1, with one space between them")
    static let badTarget = malformed("what it asks for is no path that begins with one slash")
    static let badField = malformed("a line of its head is not a name, a colon and a value that can be printed")
    static let badChunk = malformed("a chunk of its body has no length, or another one than it says")
    static let unknownVersion = ServedError(
        status: 505, "the server speaks HTTP/1.1 and HTTP/1.0 alone; send one of them", type: "invalid_request_error")
    static let unknownCoding = ServedError(
        status: 501, "the only 'Transfer-Encoding' here is chunked, once; send the body so, or with 'Content-Length'",
        type: "invalid_request_error")
    static let noTunnel = ServedError(
        status: 404, "the server leads to no other; ask it for its own paths, see /openapi.json",
        type: "invalid_request_error", code: "unknown_url")
    static let unreadable = ServedError(
        status: 400, "the request is no HTTP/1.1 that can be read; look at its first line, its headers and its chunks",
        type: "invalid_request_error")
    static let unknownExpectation = ServedError(
        status: 417, "the only thing to Expect here is 100-continue", type: "invalid_request_error")

    /// What libevent would say in words of its own about a request that it cannot read.
    ///
    /// It also says 413 where the chunks of a body, or what follows them, make no sense. What is too long is found out
    /// before.
    init(libeventStatus status: Int) { self = status == 417 ? .unknownExpectation : .unreadable }

    static func bodyTooLong(_ limit: Int) -> ServedError {
        ServedError(
            status: 413, "the body has more than the \(limit) bytes that a request may have",
            type: "invalid_request_error")
    }

    /// The whole answer, for a connection from which nothing more is taken.
    var lastWords: [UInt8] {
        let body = body.line + "\n"
        let head =
            "HTTP/1.1 \(status) \(reason)\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
        return Array((head + body).utf8)
    }

    private var reason: String { HTTPStatus.reason(status) }
}

enum HTTPStatus {
    /// The words beside a status.
    static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 204: "No Content"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 505: "HTTP Version Not Supported"
        case 507: "Insufficient Storage"
        default: "Service Unavailable"
        }
    }
}
