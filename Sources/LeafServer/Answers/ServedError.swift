package import LeafFormat
package import LeafSystem
import LeafWire

/// Why there is no answer, as HTTP and OpenAI's clients have it.
package struct ServedError: Error, Sendable {
    package let status: HTTPStatus
    /// `{"error":{"message","type","param","code"}}`
    package let body: JSON
    /// Seconds after which it may have passed; nil where nobody knows that it does by itself.
    package let retryAfter: Int?

    /// - Parameters:
    ///   - param: the field of the body that is wrong; nil if it is none.
    ///   - code: tells errors of one status apart.
    ///   - retryAfter: seconds after which it may have passed.
    package init(
        status: HTTPStatus, _ message: String, param: String? = nil, code: String? = nil, retryAfter: Int? = nil
    ) {
        (self.status, self.retryAfter) = (status, retryAfter)
        body = [
            "error": [
                "message": .string(message), "type": .string(status.errorType),
                "param": param.map { .string($0) } ?? .null, "code": code.map { .string($0) } ?? .null,
            ]
        ]
    }

    /// - Parameter retryAfter: seconds after which it may have passed; nil where it does not pass by itself.
    static func unavailable(_ message: String, code: String, retryAfter: Int?) -> ServedError {
        ServedError(status: .unavailable, message, code: code, retryAfter: retryAfter)
    }

    /// Seconds that what there is no room for waits for others to end.
    static let secondsToRoom = 2

    /// What stands in the head of its answer.
    var headers: [(name: String, value: String)] {
        guard let retryAfter else { return [] }
        return [("Retry-After", "\(retryAfter)")]
    }

    /// An error of a request under way, or of its body.
    package init(_ error: LeafError) {
        let (status, code): (HTTPStatus, String?) =
            switch error.kind {
            case .usage: (.badRequest, nil)
            case .tooLong: (.badRequest, "context_length_exceeded")
            case .busy: (.tooManyRequests, "rate_limit_exceeded")
            case .budget: (.unavailable, "out_of_memory")
            case .cancelled: (.unavailable, "stopping")
            case .badInput, .io: (.internalError, error.code)
            }
        // Nobody outside learns where files lie.
        let isInner = status == .internalError && error.description.contains("/")
        self.init(
            status: status, isInner ? "the server cannot go on with its model; its log says why" : Self.sentence(error),
            param: status == .badRequest ? error.field : nil, code: code,
            retryAfter: error.kind == .budget ? Self.secondsToRoom : nil)
    }

    /// Options have a hyphen where fields have an underscore.
    private static func sentence(_ error: LeafError) -> String {
        guard let field = error.field else { return error.description }
        let option = field.replacing("_", with: "-")
        guard error.description.hasPrefix(option + " ") else { return error.description }
        return field + error.description.dropFirst(option.count)
    }
}
