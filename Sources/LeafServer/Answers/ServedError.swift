package import LeafFormat
package import LeafSystem
import LeafWire

/// Why there is no answer, as HTTP and OpenAI's clients have it.
package struct ServedError: Error, Sendable {
    package let status: Int
    /// `{"error":{"message","type","param","code"}}`
    package let body: JSON

    /// - Parameters:
    ///   - type: OpenAI's, as `invalid_request_error`.
    ///   - param: the field of the body that is wrong; nil if it is none.
    ///   - code: tells errors of one status apart.
    package init(status: Int, _ message: String, type: String, param: String? = nil, code: String? = nil) {
        self.status = status
        body = [
            "error": [
                "message": .string(message), "type": .string(type), "param": param.map { .string($0) } ?? .null,
                "code": code.map { .string($0) } ?? .null,
            ]
        ]
    }

    /// An error of a request under way, or of its body.
    package init(_ error: LeafError) {
        let (status, type, code): (Int, String, String?) =
            switch error.kind {
            case .usage: (400, "invalid_request_error", nil)
            case .tooLong: (400, "invalid_request_error", "context_length_exceeded")
            case .busy: (429, "rate_limit_error", "rate_limit_exceeded")
            case .budget: (503, "server_error", "out_of_memory")
            case .cancelled: (503, "server_error", "stopping")
            case .badInput, .io: (500, "server_error", error.code)
            }
        // Nobody outside learns where files lie.
        let isInner = status == 500 && error.description.contains("/")
        self.init(
            status: status, isInner ? "the server cannot go on with its model; its log says why" : Self.sentence(error),
            type: type, param: status == 400 ? error.field : nil, code: code)
    }

    /// Options have a hyphen where fields have an underscore.
    private static func sentence(_ error: LeafError) -> String {
        guard let field = error.field else { return error.description }
        let option = field.replacing("_", with: "-")
        guard error.description.hasPrefix(option + " ") else { return error.description }
        return field + error.description.dropFirst(option.count)
    }
}
