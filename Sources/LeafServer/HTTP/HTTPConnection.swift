import CEvent
import Glibc
import LeafSystem

/// What a server knows of a connection that libevent reads requests from: how far its next request is, since when, and
/// what it holds.
///
/// libevent says nothing between accepting a connection and a whole request. What arrives is therefore watched here,
/// on its way into the buffer.
final class HTTPConnection {
    enum State {
        /// Nothing is asked.
        case idle
        case receivingHead
        case receivingBody
        /// A request is whole.
        case answering
        /// It gets an error, and then nothing more.
        case refused
    }

    private(set) var state = State.idle
    private(set) var since = ContinuousClock.now
    /// Bytes of the request under way that libevent holds.
    private(set) var heldBytes = 0
    /// Takes one more piece of what arrived.
    private var head = HeadEnd()
    let events: OpaquePointer
    private unowned let server: HTTPServer
    private var watch: OpaquePointer?
    private var isTuned = false
    /// libevent's object, once this has taken the connection from it.
    private var refusedOwner: OpaquePointer?

    /// - Parameter events: a buffered socket, held until this goes.
    init(_ events: OpaquePointer, _ server: HTTPServer) {
        (self.events, self.server) = (events, server)
        bufferevent_incref(events)
        watch = evbuffer_add_cb(
            bufferevent_get_input(events),
            { buffer, info, connection in
                guard let buffer, let info, let connection else { return }
                Unmanaged<HTTPConnection>.fromOpaque(connection).takeUnretainedValue()
                    .changed(buffer, added: info.pointee.n_added)
            }, Unmanaged.passUnretained(self).toOpaque())
        let most = server.limits.bodyBytes + server.limits.headBytes + 4096
        bufferevent_setwatermark(events, Int16(EV_READ), 0, most)
    }

    deinit {
        server.release(heldBytes)
        if let watch { evbuffer_remove_cb_entry(bufferevent_get_input(events), watch) }
        bufferevent_setcb(events, nil, nil, nil, nil)
        bufferevent_decref(events)
    }

    /// libevent's own object; nil once libevent has let go of the connection.
    var owner: OpaquePointer? {
        if let refusedOwner { return refusedOwner }
        var owner: UnsafeMutableRawPointer?
        bufferevent_getcb(events, nil, nil, nil, &owner)
        return owner.map { OpaquePointer($0) }
    }

    var isGone: Bool { owner == nil }

    /// Whether it may be closed without taking an answer from anybody.
    var isWithoutRequest: Bool {
        switch state {
        case .idle, .receivingHead, .receivingBody: true
        case .answering, .refused: false
        }
    }

    /// The client's address; empty for a local socket.
    private(set) lazy var peer: String = {
        var (address, port): (UnsafeMutablePointer<CChar>?, UInt16) = (nil, 0)
        if let owner { evhttp_connection_get_peer(owner, &address, &port) }
        return address.map { String(cString: $0) } ?? ""
    }()

    /// Bytes that the client has not taken yet.
    var waitingBytes: Int { evbuffer_get_length(bufferevent_get_output(events)) }
    /// Since when there have been such bytes, as `review` has seen it.
    private(set) var stalledSince: ContinuousClock.Instant?

    func note(written bytes: Int) { server.note(written: bytes) }

    private func enter(_ state: State) {
        self.state = state
        since = .now
    }

    // MARK: What arrives

    private func changed(_ buffer: OpaquePointer, added: Int) {
        guard added > 0, state != .refused else { return }
        heldBytes += added
        if state == .idle { enter(.receivingHead) }
        if state == .receivingHead, head.isPassed(by: added, at: evbuffer_get_length(buffer) - added, of: buffer) {
            enter(.receivingBody)
        }
        server.hold(added, for: self)
    }

    /// A request is whole.
    func beginsAnswer() {
        enter(.answering)
        tuneSocket()
    }

    /// The request's bytes were read and dropped.
    func dropRequest() {
        let waiting = evbuffer_get_length(bufferevent_get_input(events))
        server.release(heldBytes - min(heldBytes, waiting))
        heldBytes = min(heldBytes, waiting)
    }

    /// The answer is sent; what came meanwhile is the next request.
    func endsAnswer() {
        dropRequest()
        head = HeadEnd()
        enter(.idle)
        let input = bufferevent_get_input(events)
        let waiting = evbuffer_get_length(input)
        guard waiting > 0, let input else { return }
        enter(.receivingHead)
        if head.isPassed(by: waiting, at: 0, of: input) { enter(.receivingBody) }
    }

    /// A client that is gone without a word is noticed by what it does not confirm.
    private func tuneSocket() {
        guard !isTuned else { return }
        isTuned = true
        let descriptor = bufferevent_getfd(events)
        var milliseconds = Int32(server.limits.confirmationSeconds * 1000)
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds, socklen_t(MemoryLayout<Int32>.size))
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, socklen_t(MemoryLayout<Int32>.size))
        // A token is sent when it is there.
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        // What a client does not read waits here, where it is counted, and not in megabytes of the kernel's.
        var unsent = Self.unsentBytes
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &unsent, socklen_t(MemoryLayout<Int32>.size))
    }

    private static let unsentBytes: Int32 = 32 << 10

    // MARK: What took too long, or too much

    /// Looks whether its time is over.
    func review(at now: ContinuousClock.Instant) {
        stalledSince = waitingBytes > 0 ? stalledSince ?? now : nil
        let seconds = (now - since) / .seconds(1)
        switch state {
        case .idle: if seconds > server.limits.idleSeconds { close() }
        case .receivingHead: if seconds > server.limits.headSeconds { refuse(.requestTimeout) }
        case .receivingBody: if seconds > server.limits.bodySeconds { refuse(.requestTimeout) }
        case .answering: break
        case .refused: if seconds > Self.lingeringSeconds { close() }
        }
    }

    /// A client that still sends would lose an answer that is followed by the connection's end.
    private static let lingeringSeconds = 2.0

    /// Answers a request that is not whole with an error, takes no more of it, and ends the connection.
    func refuse(_ error: ServedError) {
        guard state == .receivingHead || state == .receivingBody, let owner else { return }
        refusedOwner = owner
        server.release(heldBytes)
        heldBytes = 0
        enter(.refused)
        let (input, output) = (bufferevent_get_input(events), bufferevent_get_output(events))
        evbuffer_drain(input, evbuffer_get_length(input))
        let answer = error.lastWords
        _ = answer.withUnsafeBytes { evbuffer_add(output, $0.baseAddress, $0.count) }
        bufferevent_setcb(
            events,
            { events, _ in
                let input = bufferevent_get_input(events)
                evbuffer_drain(input, evbuffer_get_length(input))
            },
            { events, _ in shutdown(bufferevent_getfd(events), Int32(SHUT_WR)) },
            { _, _, connection in
                guard let connection else { return }
                Unmanaged<HTTPConnection>.fromOpaque(connection).takeUnretainedValue().close()
            }, Unmanaged.passUnretained(self).toOpaque())
        bufferevent_enable(events, Int16(EV_READ | EV_WRITE))
        server.note(refused: error)
    }

    /// Ends it at once. A request on it is gone.
    func close() {
        guard let owner else { return }
        refusedOwner = nil
        evhttp_connection_free(owner)
    }
}

/// Finds the empty line at the end of a request's head, in pieces as they come.
package struct HeadEnd {
    private var isLineEmpty = true
    private var hasText = false
    package private(set) var isPassed = false

    package init() {}

    /// - Parameters:
    ///   - count: of new bytes.
    ///   - offset: where they begin in the buffer.
    mutating func isPassed(by count: Int, at offset: Int, of buffer: OpaquePointer) -> Bool {
        guard !isPassed else { return true }
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { piece in
            var (offset, left) = (offset, count)
            var place = evbuffer_ptr()
            while left > 0, !isPassed, evbuffer_ptr_set(buffer, &place, offset, EVBUFFER_PTR_SET) == 0 {
                let copied = evbuffer_copyout_from(buffer, &place, piece.baseAddress, min(left, piece.count))
                guard copied > 0 else { return }
                take(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<copied]))
                offset += copied
                left -= copied
            }
        }
        return isPassed
    }

    package mutating func take(_ bytes: some Sequence<UInt8>) {
        for byte in bytes where !isPassed {
            switch byte {
            case UInt8(ascii: "\n"):
                // Empty lines before a request are no part of it.
                if isLineEmpty, hasText { isPassed = true }
                isLineEmpty = true
            case UInt8(ascii: "\r"): break
            default: (isLineEmpty, hasText) = (false, true)
            }
        }
    }
}
