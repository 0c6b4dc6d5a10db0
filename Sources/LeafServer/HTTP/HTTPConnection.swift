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
        /// TLS is being agreed upon.
        case agreeing
        /// Nothing is asked.
        case idle
        case receivingHead
        case receivingBody
        /// A request is whole.
        case answering
        /// It gets an error, and then nothing more.
        case refused
    }

    private(set) var state: State
    private(set) var since = ContinuousClock.now
    /// When the request under way began.
    private var began = ContinuousClock.now
    /// Bytes of the request under way that libevent holds.
    private(set) var heldBytes = 0
    /// Why the request under way gets no other answer; nil while nothing is wrong with it.
    private(set) var refusal: ServedError?
    private var reader: RequestReader
    let events: OpaquePointer
    private unowned let server: HTTPServer
    /// Nil where nothing is encrypted.
    private let session: TLSSession?
    /// What the client had sent before it was idle, encrypted.
    private var encryptedBytes: UInt64 = 0
    private var watches: [(buffer: OpaquePointer?, watch: OpaquePointer?)] = []
    private var isTuned = false
    /// libevent's object, once this has taken the connection from it.
    private var refusedOwner: OpaquePointer?

    /// - Parameter events: a buffered socket, held until this goes.
    init(_ events: OpaquePointer, _ server: HTTPServer) {
        (self.events, self.server, session) = (events, server, TLSSession(of: events))
        reader = RequestReader(server.limits)
        state = session == nil ? .idle : .agreeing
        bufferevent_incref(events)
        watch(bufferevent_get_input(events)) { buffer, info, connection in
            guard let buffer, let info, let connection else { return }
            Unmanaged<HTTPConnection>.fromOpaque(connection).takeUnretainedValue()
                .received(info.pointee.n_added, in: buffer)
        }
        watch(bufferevent_get_output(events)) { buffer, info, connection in
            guard let buffer, let info, let connection, info.pointee.n_added > 0 else { return }
            let own = Unmanaged<HTTPConnection>.fromOpaque(connection).takeUnretainedValue()
            own.writtenBytes += info.pointee.n_added
            own.answered(in: buffer)
        }
        let most = server.limits.bodyBytes + server.limits.headBytes + 4096
        bufferevent_setwatermark(events, Int16(EV_READ), 0, most)
    }

    private func watch(_ buffer: OpaquePointer?, _ change: evbuffer_cb_func) {
        watches.append((buffer, evbuffer_add_cb(buffer, change, Unmanaged.passUnretained(self).toOpaque())))
    }

    deinit {
        server.release(heldBytes)
        for (buffer, watch) in watches { if let watch { evbuffer_remove_cb_entry(buffer, watch) } }
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
        case .agreeing, .idle, .receivingHead, .receivingBody: true
        case .answering, .refused: false
        }
    }

    /// The client's address; empty for a local socket.
    private(set) lazy var peer: String = {
        var (address, port): (UnsafeMutablePointer<CChar>?, UInt16) = (nil, 0)
        if let owner { evhttp_connection_get_peer(owner, &address, &port) }
        return address.map { String(cString: $0) } ?? ""
    }()
    /// What stands for the client where clients are told apart by their addresses.
    private(set) lazy var client = ClientAddress.client(of: peer)

    /// Bytes that the client has not taken yet.
    var waitingBytes: Int { evbuffer_get_length(bufferevent_get_output(events)) }
    /// Since when the client has taken none of them; nil while there are none.
    var stalledSince: ContinuousClock.Instant? { waitingBytes > 0 ? confirmedAt : nil }
    /// Bytes that were handed over for the client, the most of them that it has confirmed, and when it was seen to
    /// confirm more, or to have nothing left to confirm.
    private var writtenBytes = 0
    private var confirmedBytes = 0
    private var confirmedAt = ContinuousClock.now

    func note(written bytes: Int) { server.note(written: bytes) }

    private func enter(_ state: State) {
        self.state = state
        since = .now
        confirmedAt = since
        if state == .receivingHead { began = since }
    }

    /// What the request under way is called: by its client, so that a proxy's name for it can be followed, or by a new
    /// name.
    func requestID() -> String { reader.requestID ?? RequestID.make() }

    // MARK: What arrives

    private func received(_ count: Int, in buffer: OpaquePointer) {
        guard count > 0, state != .refused else { return }
        heldBytes += count
        if state == .idle || state == .agreeing { beginsRequest() }
        read(count, at: evbuffer_get_length(buffer) - count, of: buffer)
        server.hold(count, for: self)
        if refusal != nil { drop(buffer) } else { dropEmptyLines(of: buffer) }
    }

    private func beginsRequest() {
        enter(.receivingHead)
        watchEnd()
    }

    /// Tells of the end of a request that does not become whole. One that does has the exchange watch from then on.
    private func watchEnd() {
        guard let owner else { return }
        evhttp_connection_set_closecb(
            owner,
            { _, connection in
                guard let connection else { return }
                Unmanaged<HTTPConnection>.fromOpaque(connection).takeUnretainedValue().isLost()
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// libevent ends the connection.
    private func isLost() {
        guard state == .receivingHead || state == .receivingBody else { return }
        server.note(fragment(isCutOff ? .cut : .gone))
    }

    /// The request under way, as it ends.
    private func fragment(_ outcome: HTTPOutcome, sentBytes: Int = 0) -> HTTPServer.Fragment {
        HTTPServer.Fragment(
            id: requestID(), outcome: outcome, peer: peer, sentBytes: sentBytes,
            seconds: (ContinuousClock.now - began) / .seconds(1))
    }

    private func read(_ count: Int, at offset: Int, of buffer: OpaquePointer) {
        guard state == .receivingHead || state == .receivingBody, refusal == nil else { return }
        do throws(ServedError) { try reader.take(count, at: offset, of: buffer) } catch { doom(error) }
        if state == .receivingHead, reader.isHeadWhole { enter(.receivingBody) }
    }

    /// What stands in front of a request is none of it, so that it is the first in the buffer.
    private func dropEmptyLines(of input: OpaquePointer) {
        let count = reader.takeEmptyBytes()
        guard count > 0, evbuffer_drain(input, count) == 0 else { return }
        heldBytes -= count
        server.release(count)
        if !reader.isBegun { becomesIdle() }
    }

    /// Nothing of a request that is refused reaches libevent.
    private func drop(_ input: OpaquePointer) { evbuffer_drain(input, evbuffer_get_length(input)) }

    /// The request under way gets this answer and no other, whatever becomes of it meanwhile.
    func doom(_ error: ServedError) { if isWithoutRequest, refusal == nil { refusal = error } }

    /// Before a request is whole nobody answers it but libevent, which invites clients to send their bodies, and has
    /// pages of HTML for what it cannot read. Such a page is taken back at once.
    private func answered(in buffer: OpaquePointer) {
        guard isWithoutRequest else { return }
        // libevent lets nobody take from the front of what it sends, but itself.
        evbuffer_unfreeze(buffer, 1)
        if refusal == nil {
            guard let status = Self.status(in: buffer), status != 100 else { return }
            doom(ServedError(libeventStatus: status))
            server.refuseSoon(self)
        }
        evbuffer_drain(buffer, evbuffer_get_length(buffer))
    }

    /// Of an answer: the number behind `HTTP/1.1 `.
    private static func status(in buffer: OpaquePointer) -> Int? {
        withUnsafeTemporaryAllocation(byteCount: 12, alignment: 1) { start in
            guard evbuffer_copyout(buffer, start.baseAddress, start.count) == start.count else { return nil }
            return Int(String(decoding: start.suffix(3), as: UTF8.self))
        }
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
        (reader, refusal) = (RequestReader(server.limits), nil)
        becomesIdle()
        let input = bufferevent_get_input(events)
        let waiting = evbuffer_get_length(input)
        guard waiting > 0, let input else { return }
        enter(.receivingHead)
        // Behind the last answer that a client wants, libevent ends the connection: what follows was not taken.
        server.soon(self) { $0.watchEnd() }
        read(waiting, at: 0, of: input)
        guard refusal != nil else { return dropEmptyLines(of: input) }
        drop(input)
        server.refuseSoon(self)
    }

    /// Nothing more is read for the present, the end of what the client sends least of all.
    func readsNothing() { bufferevent_disable(events, Int16(EV_READ)) }

    private func becomesIdle() {
        encryptedBytes = session?.receivedBytes ?? 0
        enter(.idle)
    }

    /// A client that is gone without a word is noticed by what it does not confirm.
    private func tuneSocket() {
        guard !isTuned else { return }
        isTuned = true
        let descriptor = bufferevent_getfd(events)
        // Where an answer is under way, the server notices first.
        var milliseconds = Int32((server.limits.confirmationSeconds + Self.kernelSeconds) * 1000)
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
    private static let kernelSeconds = 5.0

    /// Looks whether the client has confirmed more than before. What is encrypted is longer in the kernel than here,
    /// and counts as unconfirmed the longer for it.
    private func noteConfirmed(at now: ContinuousClock.Instant) {
        var queued: Int32 = 0
        _ = ioctl(bufferevent_getfd(events), UInt(TIOCOUTQ), &queued)
        let waiting = waitingBytes + Int(queued)
        guard waiting == 0 || writtenBytes - waiting > confirmedBytes else { return }
        (confirmedBytes, confirmedAt) = (max(confirmedBytes, writtenBytes - waiting), now)
    }

    // MARK: What took too long, or too much

    /// Looks whether its time is over.
    func review(at now: ContinuousClock.Instant) {
        let seconds = (now - since) / .seconds(1)
        switch state {
        case .agreeing:
            if session?.isAgreed != false { return becomesIdle() }
            if seconds > server.limits.headSeconds { close() }
        case .idle:
            // A head arrives in records, of which nothing is seen before they are whole.
            if let session, session.receivedBytes != encryptedBytes { return beginsRequest() }
            if seconds > server.limits.idleSeconds { close() }
        case .receivingHead: if seconds > server.limits.headSeconds { refuse(.requestTimeout) }
        case .receivingBody: if seconds > server.limits.bodySeconds { refuse(.requestTimeout) }
        case .answering:
            noteConfirmed(at: now)
            if now - confirmedAt > .seconds(server.limits.confirmationSeconds) { close() }
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
        let fragment = fragment(.answered(error.status), sentBytes: error.lastWordsBody.utf8.count)
        enter(.refused)
        let (input, output) = (bufferevent_get_input(events), bufferevent_get_output(events))
        evbuffer_drain(input, evbuffer_get_length(input))
        let answer = error.lastWords(to: fragment.id)
        _ = answer.withUnsafeBytes { evbuffer_add(output, $0.baseAddress, $0.count) }
        bufferevent_setcb(
            events,
            { events, _ in
                let input = bufferevent_get_input(events)
                evbuffer_drain(input, evbuffer_get_length(input))
            },
            { events, _ in shutdown(bufferevent_getfd(events), Int32(SHUT_WR)) },
            { _, what, connection in
                guard let connection else { return }
                let own = Unmanaged<HTTPConnection>.fromOpaque(connection).takeUnretainedValue()
                // A client that has ended its side may still read.
                let isReading = Int32(what) & BEV_EVENT_EOF != 0 && own.waitingBytes > 0
                if !isReading { own.close() }
            }, Unmanaged.passUnretained(self).toOpaque())
        bufferevent_enable(events, Int16(EV_READ | EV_WRITE))
        server.note(fragment)
    }

    /// Whether the server ended it before an answer was whole, and not its client.
    private(set) var isCutOff = false

    /// Notes that the server is about to end it.
    func cutOff() { isCutOff = true }

    /// Ends it at once. A request on it is cut off.
    func close() {
        guard let owner else { return }
        cutOff()
        refusedOwner = nil
        evhttp_connection_free(owner)
    }
}
