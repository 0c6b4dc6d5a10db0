/// Every status that the server answers with. Nothing else can be sent, so the documentation can be held against it.
package enum HTTPStatus: Int, CaseIterable, Sendable {
    case ok = 200
    case noContent = 204
    case badRequest = 400
    case unauthorized = 401
    case forbidden = 403
    case notFound = 404
    case methodNotAllowed = 405
    case requestTimeout = 408
    case contentTooLarge = 413
    case unsupportedMediaType = 415
    case expectationFailed = 417
    case tooManyRequests = 429
    case headTooLarge = 431
    case internalError = 500
    case notImplemented = 501
    case unavailable = 503
    case unknownVersion = 505
    case noStorage = 507

    /// Those of answers that say why there is no other.
    package static var errors: [HTTPStatus] { allCases.filter { $0.rawValue >= 400 } }

    /// OpenAI's name for errors of this kind.
    var errorType: String {
        switch self {
        case .tooManyRequests: "rate_limit_error"
        case .internalError, .unavailable, .noStorage: "server_error"
        default: "invalid_request_error"
        }
    }

    /// The words beside it.
    var reason: String {
        switch self {
        case .ok: "OK"
        case .noContent: "No Content"
        case .badRequest: "Bad Request"
        case .unauthorized: "Unauthorized"
        case .forbidden: "Forbidden"
        case .notFound: "Not Found"
        case .methodNotAllowed: "Method Not Allowed"
        case .requestTimeout: "Request Timeout"
        case .contentTooLarge: "Content Too Large"
        case .unsupportedMediaType: "Unsupported Media Type"
        case .expectationFailed: "Expectation Failed"
        case .tooManyRequests: "Too Many Requests"
        case .headTooLarge: "Request Header Fields Too Large"
        case .internalError: "Internal Server Error"
        case .notImplemented: "Not Implemented"
        case .unavailable: "Service Unavailable"
        case .unknownVersion: "HTTP Version Not Supported"
        case .noStorage: "Insufficient Storage"
        }
    }

    /// When it is sent, as the documentation says it.
    package var meaning: String {
        switch self {
        case .ok: "the answer"
        case .noContent: "a browser may go on, because its page is allowed to"
        case .badRequest: "a wrong type, a value out of range, a text that is too long, what is no HTTP/1.1"
        case .unauthorized: "the key is missing or wrong"
        case .forbidden: "the server is called by a name that is none of its own, or a page of another site asks"
        case .notFound: "there is nothing of this path, name or id"
        case .methodNotAllowed: "the path takes other methods, which `Allow` names"
        case .requestTimeout: "the request did not come in time"
        case .contentTooLarge: "the body is longer than a request's may be"
        case .unsupportedMediaType: "the body is not JSON, or not a form where a file is sent, or is packed"
        case .expectationFailed: "`Expect` is something else than `100-continue`"
        case .tooManyRequests: "as many requests, or batches, wait as may; for requests `Retry-After` says how long"
        case .headTooLarge: "the request's line and headers are longer than 16 KiB"
        case .internalError: "the model, or the folder of files, cannot be read"
        case .notImplemented: "`Transfer-Encoding` is something else than `chunked`"
        case .unavailable:
            "the model is being opened, there is no room at the moment, or as many watch as may, and `Retry-After` "
                + "says how long; or the server stops"
        case .unknownVersion: "another version than HTTP/1.0 and HTTP/1.1"
        case .noStorage: "there is no room for a file"
        }
    }
}
