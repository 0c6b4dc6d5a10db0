import CEvent
import Glibc
import LeafSystem

/// Connections, and the requests that come by them. Everything of it happens on the loop's thread.
///
/// libevent parses and writes. It neither limits connections nor ends slow ones, and holds what it is sent until a
/// request is whole: that is bounded here.
final class HTTPServer {
    let limits: HTTPLimits
    private let loop: EventLoop
    private let certificate: TLSCertificate?
    private let http: OpaquePointer
    /// The sockets that connections are taken from, as evhttp owns them.
    private var places: [OpaquePointer] = []
    private var listeners: [OpaquePointer] { places.compactMap { evhttp_bound_socket_get_listener($0) } }
    private var sockets: [ListeningSocket] = []
    private var connections: [OpaquePointer: HTTPConnection] = [:]
    private var isPaused = false
    private var isStopping = false
    private var isClosed = false
    private var tick: EventWatch?
    /// Bytes of requests that are held, on all connections.
    private var heldBytes = 0
    /// Bytes of answers that clients have not taken, at most.
    private var waitingBytes = 0
    private var isMakingRoom = false
    /// A request that never became whole.
    struct Fragment {
        /// What the request is called.
        let id: String
        let outcome: HTTPOutcome
        /// The client's address; empty for a local socket.
        let peer: String
        /// Of the body of its answer, if it got one.
        let sentBytes: Int
        /// Since the request began.
        let seconds: Double
    }

    /// What is told of requests that never became whole.
    var onFragment: (Fragment) -> Void = { _ in }
    private let handle: (HTTPExchange) -> Void

    private static let tickMilliseconds = 250

    /// - Parameters:
    ///   - certificate: nil for connections that are not encrypted.
    ///   - handle: called with each request once it is whole.
    /// - Throws: `.budget` if the system refuses the memory.
    init(
        _ loop: EventLoop, _ limits: HTTPLimits, _ certificate: TLSCertificate? = nil,
        handle: @escaping (HTTPExchange) -> Void
    ) throws(LeafError) {
        guard let http = evhttp_new(loop.base) else {
            throw LeafError(.budget, "the system gives no memory for a server; free some")
        }
        (self.loop, self.limits, self.certificate, self.http, self.handle) = (loop, limits, certificate, http, handle)
        // Lengths are checked here, because libevent would answer in its own words.
        evhttp_set_max_headers_size(http, Int.max)
        evhttp_set_max_body_size(http, Int.max)
        evhttp_set_default_content_type(http, nil)
        evhttp_set_allowed_methods(http, UInt16.max)
        let own = Unmanaged.passUnretained(self).toOpaque()
        evhttp_set_bevcb(
            http,
            { base, server in
                guard let server else { return nil }
                return Unmanaged<HTTPServer>.fromOpaque(server).takeUnretainedValue().accept(base)
            }, own)
        evhttp_set_gencb(
            http,
            { request, server in
                guard let request, let server else { return }
                Unmanaged<HTTPServer>.fromOpaque(server).takeUnretainedValue().take(request)
            }, own)
        tick = loop.every(milliseconds: Self.tickMilliseconds) { [unowned self] in review() }
    }

    deinit { if !isClosed { evhttp_free(http) } }

    /// Ends all connections at once. Nothing is answered any more.
    func close() {
        guard !isClosed else { return }
        (isClosed, tick) = (true, nil)
        for connection in connections.values { connection.cutOff() }
        evhttp_free(http)
        connections = [:]
    }

    var connectionCount: Int { connections.values.count { !$0.isGone } }
    /// Connections with a whole request whose answer is not sent.
    var answeringCount: Int { connections.values.count { $0.state == .answering && !$0.isGone } }

    /// Takes connections from a socket from now on.
    ///
    /// - Throws: `.io` if the system does not let it.
    func listen(at socket: ListeningSocket) throws(LeafError) {
        guard
            let listener = evconnlistener_new(
                loop.base, nil, nil, UInt32(LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC), 0, socket.descriptor)
        else { throw LeafError.system("cannot listen at \(socket.address.description)", errno) }
        evconnlistener_set_error_cb(listener) { listener, _ in
            // Out of descriptors or memory: the tick takes it up again, when something may have been given back.
            evconnlistener_disable(listener)
        }
        guard let place = evhttp_bind_listener(http, listener) else {
            evconnlistener_free(listener)
            throw LeafError.system("cannot listen at \(socket.address.description)", ENOMEM)
        }
        places.append(place)
        sockets.append(socket)
    }

    /// Takes no more connections, which are refused from now on, and ends those without a whole request.
    func stopListening() {
        isStopping = true
        for place in places { evhttp_del_accept_socket(http, place) }
        places = []
        for connection in connections.values where connection.state != .answering { connection.close() }
    }

    // MARK: Connections

    private func accept(_ base: OpaquePointer?) -> OpaquePointer? {
        makeRoom()
        let plain = Int32(BEV_OPT_CLOSE_ON_FREE.rawValue)
        let events = certificate.map { $0.socket(base) } ?? bufferevent_socket_new(base, -1, plain)
        guard let events else { return nil }
        connections[events] = HTTPConnection(events, self)
        return events
    }

    /// Ends a connection where there are as many as may be. Where all are busy, no more are taken until one is not.
    private func makeRoom() {
        guard connections.count >= limits.connections else { return }
        dropGone()
        guard connections.count >= limits.connections else { return }
        if let one = mostDispensable {
            one.close()
            dropGone()
        }
        if connections.count + 1 >= limits.connections, mostDispensable == nil { pause() }
    }

    /// The connection whose end takes least from anybody; nil where each of them is at work.
    ///
    /// Those without a whole request go first. Among them whoever has most: no client can push out the others. Of that
    /// client's the one that has been so longest. Then those who do not take their answers.
    private var mostDispensable: HTTPConnection? {
        let open = connections.values.filter(\.isWithoutRequest)
        let counts = Dictionary(open.map { ($0.client, 1) }, uniquingKeysWith: +)
        let most = counts.values.max() ?? 0
        return open.filter { counts[$0.client] == most }.min { $0.since < $1.since }
            ?? stalled(for: Self.longestStall).first
    }

    /// An answer that its client does not take may stand in nobody's way so long.
    private static let longestStall = Duration.seconds(10)

    /// Connections whose clients have left something for so long, the longest first.
    private func stalled(for duration: Duration) -> [HTTPConnection] {
        let now = ContinuousClock.now
        let stalled = connections.values.compactMap { connection in
            connection.stalledSince.map { (connection, since: $0) }
        }
        return stalled.filter { now - $0.since >= duration }.sorted { $0.since < $1.since }.map(\.0)
    }

    /// Ends connections whose clients do not take what they are sent.
    func closeStalled() {
        for connection in stalled(for: .zero) { connection.close() }
        dropGone()
    }

    private func pause() {
        isPaused = true
        for listener in listeners { evconnlistener_disable(listener) }
    }

    private func dropGone() {
        for (events, connection) in connections where connection.isGone { connections[events] = nil }
    }

    private func review() {
        dropGone()
        let now = ContinuousClock.now
        for connection in connections.values { connection.review(at: now) }
        dropGone()
        guard !isStopping else { return }
        if isPaused, connections.count >= limits.connections, mostDispensable == nil { return }
        isPaused = false
        for listener in listeners { evconnlistener_enable(listener) }
    }

    // MARK: Bytes

    /// Counts bytes that arrived; ends the request that they belong to if there is no room for them.
    func hold(_ bytes: Int, for connection: HTTPConnection) {
        heldBytes += bytes
        if connection.heldBytes > limits.bodyBytes + limits.headBytes {
            connection.doom(.bodyTooLong(limits.bodyBytes))
        } else if heldBytes > limits.poolBytes {
            connection.doom(.noRoom)
        }
        if connection.refusal != nil || heldBytes > limits.poolBytes { refuseSoon(connection) }
    }

    /// Answers a request that is refused, unless it is answered already, when libevent is no longer in its middle.
    func refuseSoon(_ connection: HTTPConnection) {
        soon(connection) { [weak self] connection in
            guard let self else { return }
            if let error = connection.refusal { return connection.refuse(error) }
            if connection.state == .answering, heldBytes > limits.poolBytes { connection.close() }
        }
    }

    func release(_ bytes: Int) { heldBytes -= bytes }

    /// Counts bytes that are about to be sent. Where more wait than may, those who leave theirs longest are sent away.
    func note(written bytes: Int) {
        waitingBytes += bytes
        guard waitingBytes > limits.outputPoolBytes, !isMakingRoom else { return }
        isMakingRoom = true
        // Whoever writes is in the middle of an answer.
        loop.soon { [weak self] in self?.makeRoomForAnswers() }
    }

    private func makeRoomForAnswers() {
        isMakingRoom = false
        waitingBytes = connections.values.reduce(0) { $0 + $1.waitingBytes }
        for connection in stalled(for: Self.shortestStall) where waitingBytes > limits.outputPoolBytes {
            waitingBytes -= connection.waitingBytes
            connection.close()
        }
    }

    /// Whoever takes what they are sent has done so after this.
    private static let shortestStall = Duration.seconds(1)

    func note(_ fragment: Fragment) { onFragment(fragment) }

    /// Does something with a connection once libevent is no longer in its middle, if it is there still.
    func soon(_ connection: HTTPConnection, _ body: @escaping (HTTPConnection) -> Void) {
        loop.soon { [weak connection] in
            guard let connection, !connection.isGone else { return }
            body(connection)
        }
    }

    // MARK: Requests

    private func take(_ request: UnsafeMutablePointer<evhttp_request>) {
        guard let owner = evhttp_request_get_connection(request),
            let events = evhttp_connection_get_bufferevent(owner)
        else { return }
        guard let connection = connections[events] else { return evhttp_connection_free(owner) }
        connection.beginsAnswer()
        handle(HTTPExchange(request, connection, maximum: limits.outputBytes))
    }
}
