import Dispatch
import Synchronization

/// Messages from the engine's thread to one that waits for them.
final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let arrivals = DispatchSemaphore(value: 0)

    func put(_ message: Message) {
        messages.withLock { $0.append(message) }
        arrivals.signal()
    }

    /// The next message, or nil if none comes in time.
    func next(within time: DispatchTimeInterval) -> Message? {
        guard arrivals.wait(timeout: .now() + time) == .success else { return nil }
        return messages.withLock { $0.removeFirst() }
    }
}
