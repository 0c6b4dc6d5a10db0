import CEvent
import Glibc
import LeafSystem

/// Runs what happens to sockets, what other threads send, and what time brings, on the one thread that calls `run`.
final class EventLoop {
    let base: OpaquePointer

    /// - Throws: `.io` if the system gives no descriptor to wait with.
    init() throws(LeafError) {
        guard let base = event_base_new() else { throw LeafError.system("cannot wait for connections", errno) }
        self.base = base
    }

    deinit { event_base_free(base) }

    /// Returns after `stop`.
    func run() { event_base_dispatch(base) }

    /// Ends `run` once what happens now has been attended to.
    func stop() { event_base_loopexit(base, nil) }

    /// Calls `body` whenever there is something to read.
    func whenReadable(_ descriptor: Int32, _ body: @escaping () -> Void) -> EventWatch {
        EventWatch(base, descriptor, EV_READ | EV_PERSIST, nil, body)
    }

    /// Calls `body` again and again.
    func every(milliseconds: Int, _ body: @escaping () -> Void) -> EventWatch {
        EventWatch(base, -1, EV_PERSIST, milliseconds, body)
    }

    /// Calls `body` once, when whatever calls this has returned.
    func soon(_ body: @escaping () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        var now = timeval()
        let status = event_base_once(
            base, -1, Int16(EV_TIMEOUT),
            { _, _, box in
                guard let box else { return }
                Unmanaged<Box>.fromOpaque(box).takeRetainedValue().body()
            }, box.toOpaque(), &now)
        if status != 0 { box.release() }
    }

    private final class Box {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}

/// An event that a loop attends to until this goes. The loop must outlive it.
final class EventWatch {
    private let body: () -> Void
    private var event: OpaquePointer?

    fileprivate init(
        _ base: OpaquePointer, _ descriptor: Int32, _ what: Int32, _ milliseconds: Int?, _ body: @escaping () -> Void
    ) {
        self.body = body
        event = event_new(
            base, descriptor, Int16(what),
            { _, _, watch in
                guard let watch else { return }
                Unmanaged<EventWatch>.fromOpaque(watch).takeUnretainedValue().body()
            }, Unmanaged.passUnretained(self).toOpaque())
        guard let event else { return }
        if let milliseconds {
            var time = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
            event_add(event, &time)
        } else {
            event_add(event, nil)
        }
    }

    deinit { if let event { event_free(event) } }
}

/// Messages of other threads on their way to a loop.
final class LoopInbox<Message: Sendable>: Sendable {
    /// Readable while there are messages.
    let descriptor: Int32
    private let bell: Int32
    private let messages = Monitor([Message]())

    /// - Throws: `.io` if the system gives no descriptors.
    init() throws(LeafError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LeafError.system("cannot wait for messages", errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (descriptor, bell) = (ends[0], ends[1])
    }

    deinit {
        close(descriptor)
        close(bell)
    }

    /// From any thread, at any time.
    func put(_ message: Message) {
        let wasEmpty = messages.withLock { messages in
            defer { messages.append(message) }
            return messages.isEmpty
        }
        var byte: UInt8 = 1
        if wasEmpty { _ = write(bell, &byte, 1) }
    }

    /// All that there are, in their order.
    func take() -> [Message] {
        var bytes: (UInt64, UInt64) = (0, 0)
        while read(descriptor, &bytes, MemoryLayout.size(ofValue: bytes)) > 0 {}
        return messages.withLock { messages in
            defer { messages = [] }
            return messages
        }
    }
}
