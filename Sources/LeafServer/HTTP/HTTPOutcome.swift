/// What became of a request, as it is logged and counted.
enum HTTPOutcome: Hashable {
    case answered(HTTPStatus)
    /// The client left before request and answer were whole.
    case gone
    /// The server broke it off.
    case cut

    var word: String {
        switch self {
        case .answered(let status): "\(status.rawValue)"
        case .gone: "gone"
        case .cut: "cut"
        }
    }

    /// Nil where there is no whole answer.
    var status: HTTPStatus? { if case .answered(let status) = self { status } else { nil } }
}
