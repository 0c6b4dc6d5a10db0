import CEvent
import Glibc
import LeafFormat
import LeafSystem

/// A whole request, and its answer on the way.
final class HTTPExchange {
    enum Method: String {
        case get = "GET"
        case post = "POST"
        case delete = "DELETE"
        case options = "OPTIONS"
        case other = "?"
    }

    private enum State {
        case open
        /// The head of the answer is sent; the rest comes in pieces.
        case started
        /// Everything is handed over; `isWritten` when it is sent.
        case ended
        /// The client is gone, or was sent away.
        case gone
    }

    /// What the request is called in its answer and in the log.
    let id: String
    /// GET also where the head of the answer alone is wanted, so that whatever answers GET answers HEAD.
    let method: Method
    /// Whether the answer's body stays here.
    private let isHead: Bool
    /// As it was sent.
    var methodName: String { isHead ? "HEAD" : method.rawValue }
    /// Without the query, as it was sent; `/` where a whole URL has none.
    let path: String
    let query: String
    /// The host that is asked for beside the path; nil where there is a path alone, as nearly always.
    let targetHost: String?
    /// The client's address; empty for a local socket.
    var peer: String { connection.peer }
    /// What stands for the client where clients are told apart by their addresses.
    var client: String { connection.client }
    let began = ContinuousClock.now
    /// Nil before an answer is begun.
    private(set) var status: HTTPStatus?
    private(set) var sentBytes = 0
    /// Whether a client that ends its own side of the connection counts as one that has left. Nothing tells them apart
    /// before something is sent, and nobody should work for who has left. Other answers are sent whole: a client may
    /// end its side once it has asked for everything.
    var endsWithClient = false
    /// Called once, when the client has gone before the answer was whole.
    var whenGone: () -> Void = {}
    /// Called once, when everything is over.
    var whenOver: () -> Void = {}

    private var state = State.open
    private var request: UnsafeMutablePointer<evhttp_request>?
    private let connection: HTTPConnection
    private let maximum: Int
    /// What gives the rest of an answer.
    private var nextPiece: (() -> Result<[UInt8]?, LeafError>)?
    private var headers: [(name: String, value: String)] = []
    /// Keeps itself for libevent, which calls it until all is over.
    private var own: Unmanaged<HTTPExchange>?

    /// - Parameter maximum: bytes that may wait for a client that does not read.
    init(_ request: UnsafeMutablePointer<evhttp_request>, _ connection: HTTPConnection, maximum: Int) {
        (self.request, self.connection, self.maximum) = (request, connection, maximum)
        id = connection.requestID()
        let command = evhttp_request_get_command(request)
        isHead = command == EVHTTP_REQ_HEAD
        method =
            switch command {
            case EVHTTP_REQ_GET, EVHTTP_REQ_HEAD: .get
            case EVHTTP_REQ_POST: .post
            case EVHTTP_REQ_DELETE: .delete
            case EVHTTP_REQ_OPTIONS: .options
            default: .other
            }
        let uri = evhttp_request_get_evhttp_uri(request)
        let sentPath = uri.flatMap { evhttp_uri_get_path($0) }.map { String(cString: $0) } ?? ""
        path = sentPath.isEmpty ? "/" : sentPath
        query = uri.flatMap { evhttp_uri_get_query($0) }.map { String(cString: $0) } ?? ""
        targetHost = uri.flatMap { evhttp_uri_get_host($0) }.map { String(cString: $0) }
        // libevent takes a whole URL for what is asked of a proxy, and would end the connection without a word.
        request.pointee.flags &= ~EVHTTP_PROXY_REQUEST
        let owner = evhttp_request_get_connection(request)
        own = Unmanaged.passRetained(self)
        evhttp_connection_set_closecb(
            owner,
            { _, exchange in
                guard let exchange else { return }
                Unmanaged<HTTPExchange>.fromOpaque(exchange).takeUnretainedValue().isLost()
            }, own?.toOpaque())
        evhttp_request_set_on_complete_cb(
            request,
            { _, exchange in
                guard let exchange else { return }
                Unmanaged<HTTPExchange>.fromOpaque(exchange).takeUnretainedValue().isWritten()
            }, own?.toOpaque())
    }

    // MARK: The request

    func header(_ name: String) -> String? {
        guard let request, let value = evhttp_find_header(evhttp_request_get_input_headers(request), name) else {
            return nil
        }
        return String(cString: value)
    }

    /// The body's bytes, contiguous while `read` runs.
    func withBody<Result>(_ read: (UnsafeRawBufferPointer) -> Result) -> Result {
        guard let request, let buffer = evhttp_request_get_input_buffer(request), evbuffer_get_length(buffer) > 0,
            let bytes = evbuffer_pullup(buffer, -1)
        else { return read(UnsafeRawBufferPointer(start: nil, count: 0)) }
        return read(UnsafeRawBufferPointer(start: bytes, count: evbuffer_get_length(buffer)))
    }

    /// Takes the body away, for another thread to read. What it takes counts until the answer is sent.
    func takeBody() -> HTTPBody { HTTPBody(request.flatMap { evhttp_request_get_input_buffer($0) }) }

    /// Gives back what the body takes.
    func dropBody() {
        guard let request, let buffer = evhttp_request_get_input_buffer(request) else { return }
        evbuffer_drain(buffer, evbuffer_get_length(buffer))
        connection.dropRequest()
    }

    // MARK: The answer

    /// Nobody listens any more.
    var isGone: Bool { state == .gone }
    /// The server ended it before the answer was whole, and not the client.
    var isCutOff: Bool { isGone && connection.isCutOff }
    var isStarted: Bool { state != .open }
    var isEnded: Bool { state == .ended || state == .gone }

    /// What became of it, once it is over.
    var outcome: HTTPOutcome {
        if isCutOff { return .cut }
        guard let status, !isGone else { return .gone }
        return .answered(status)
    }

    /// Bytes that the client has not taken yet.
    var waitingBytes: Int {
        guard let request, let owner = evhttp_request_get_connection(request) else { return 0 }
        return evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(owner)))
    }

    /// For the head of the answer, which has not been sent.
    func add(header name: String, _ value: String) { headers.append((name, value)) }

    /// Sends a whole answer.
    func send(_ status: HTTPStatus, _ type: String, _ body: some Sequence<UInt8>) {
        guard state == .open, let request else { return }
        self.status = status
        add(header: "Content-Type", type)
        let buffer = evbuffer_new()
        defer { evbuffer_free(buffer) }
        if isHead {
            // What follows the head of an answer to HEAD would be the next answer.
            add(header: "Content-Length", "\(body.reduce(0) { count, _ in count + 1 })")
        } else {
            append(body, to: buffer)
        }
        sendHeaders()
        state = .ended
        evhttp_send_reply(request, Int32(status.rawValue), status.reason, buffer)
        readsNothing()
    }

    /// Sends an error as the whole answer.
    ///
    /// - Parameter body: in the place of its own.
    func refuse(_ error: ServedError, as body: JSON? = nil) {
        for (name, value) in error.headers { add(header: name, value) }
        send(error.status, "application/json", ((body ?? error.body).line + "\n").utf8)
    }

    /// Sends the head of an answer whose body comes in pieces; where a head is all that is wanted, that is the end.
    ///
    /// - Parameter length: bytes of the body; nil where nobody knows.
    func start(_ status: HTTPStatus, _ type: String, length: Int? = nil) {
        guard state == .open, let request else { return }
        self.status = status
        add(header: "Content-Type", type)
        if let length { add(header: "Content-Length", "\(length)") }
        // Without pieces that have a length, the end of the connection is the end of the answer.
        if !isModern { add(header: "Connection", "close") }
        sendHeaders()
        guard !isHead else {
            state = .ended
            evhttp_send_reply(request, Int32(status.rawValue), status.reason, nil)
            return readsNothing()
        }
        state = .started
        evhttp_send_reply_start(request, Int32(status.rawValue), status.reason)
        readsNothing()
    }

    /// libevent reads whenever it writes, and ends the connection where the client has ended its side. It reads on by
    /// itself for the next request, which it may have done already where all is sent.
    private func readsNothing() {
        if request != nil, !endsWithClient || state == .ended { connection.readsNothing() }
    }

    /// Sends a piece. A client that does not take what it is sent is sent away.
    func write(_ bytes: some Sequence<UInt8>) {
        guard state == .started, let request else { return }
        guard waitingBytes <= maximum else { return abort() }
        let buffer = evbuffer_new()
        defer { evbuffer_free(buffer) }
        append(bytes, to: buffer)
        evhttp_send_reply_chunk(request, buffer)
        readsNothing()
    }

    /// Sends the rest of an answer that was begun, each piece when the client has taken the one before.
    ///
    /// - Parameter next: called with what is sent; nil at the end, and an error where there is no more to be had.
    func write(pieces next: @escaping () -> Result<[UInt8]?, LeafError>) {
        guard state == .started, let request else { return }
        switch next() {
        case .success(let piece?) where !piece.isEmpty:
            nextPiece = next
            let buffer = evbuffer_new()
            defer { evbuffer_free(buffer) }
            append(piece, to: buffer)
            evhttp_send_reply_chunk_with_cb(
                request, buffer,
                { _, exchange in
                    guard let exchange else { return }
                    Unmanaged<HTTPExchange>.fromOpaque(exchange).takeUnretainedValue().goOn()
                }, Unmanaged.passUnretained(self).toOpaque())
            readsNothing()
        case .success:
            nextPiece = nil
            end()
        case .failure:
            nextPiece = nil
            breakOff()
        }
    }

    private func goOn() { if let nextPiece { write(pieces: nextPiece) } }

    func end() {
        guard state == .started, let request else { return }
        state = .ended
        evhttp_send_reply_end(request)
        readsNothing()
    }

    /// Ends the connection once what was written is sent, so that nobody takes the answer for a whole one.
    func breakOff() {
        guard state == .started, let request, let owner = evhttp_request_get_connection(request) else { return }
        guard waitingBytes > 0 else { return abort() }
        connection.cutOff()
        let events = evhttp_connection_get_bufferevent(owner)
        state = .ended
        bufferevent_setcb(
            events, nil, { events, owner in if let owner { evhttp_connection_free(OpaquePointer(owner)) } },
            { events, _, owner in if let owner { evhttp_connection_free(OpaquePointer(owner)) } },
            UnsafeMutableRawPointer(owner))
    }

    /// Ends the connection at once.
    func abort() {
        guard state == .open || state == .started, let request, let owner = evhttp_request_get_connection(request)
        else { return }
        connection.cutOff()
        evhttp_connection_free(owner)
    }

    private var isModern: Bool { request.map { ($0.pointee.major, $0.pointee.minor) >= (1, 1) } ?? false }

    private func append(_ bytes: some Sequence<UInt8>, to buffer: OpaquePointer?) {
        func add(_ bytes: UnsafeBufferPointer<UInt8>) {
            sentBytes += bytes.count
            connection.note(written: bytes.count)
            evbuffer_add(buffer, bytes.baseAddress, bytes.count)
        }
        if bytes.withContiguousStorageIfAvailable({ add($0) }) == nil {
            Array(bytes).withUnsafeBufferPointer { add($0) }
        }
    }

    private func sendHeaders() {
        guard let request, let output = evhttp_request_get_output_headers(request) else { return }
        for (name, value) in [(name: "X-Request-Id", value: id)] + headers { evhttp_add_header(output, name, value) }
        headers = []
    }

    // MARK: Its end

    /// libevent ends the connection.
    private func isLost() {
        let wasWhole = state == .ended
        // A request that was not answered is ours to free where libevent has cut it off.
        if !wasWhole, let request, evhttp_request_get_connection(request) == nil { evhttp_request_free(request) }
        state = .gone
        if !wasWhole { whenGone() }
        isOver()
    }

    private func isWritten() {
        if let request, let owner = evhttp_request_get_connection(request) {
            evhttp_connection_set_closecb(owner, nil, nil)
        }
        connection.endsAnswer()
        isOver()
    }

    private func isOver() {
        request = nil
        whenOver()
        (whenGone, whenOver, nextPiece) = ({}, {}, nil)
        own?.release()
        own = nil
    }
}
