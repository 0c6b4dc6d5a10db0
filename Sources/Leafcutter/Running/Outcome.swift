import LeafSystem
import Synchronization

/// An answer that comes once, for tasks that wait for it.
final class Outcome<Answer: Sendable>: Sendable {
    typealias Value = Result<Answer, LeafError>

    private enum State {
        case open(waiting: [CheckedContinuation<Value, Never>])
        case settled(Value)
    }
    private let state = Mutex(State.open(waiting: []))

    func settle(_ value: Value) {
        let waiting: [CheckedContinuation<Value, Never>] = state.withLock { state in
            guard case .open(let waiting) = state else { return [] }
            state = .settled(value)
            return waiting
        }
        for continuation in waiting { continuation.resume(returning: value) }
    }

    /// Waits for the answer; cancelling the task that waits ends the request.
    func value(cancelling ticket: Ticket?) async -> Value {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let value: Value? = state.withLock { state in
                    switch state {
                    case .settled(let value): return value
                    case .open(let waiting):
                        state = .open(waiting: waiting + [continuation])
                        return nil
                    }
                }
                if let value { continuation.resume(returning: value) }
            }
        } onCancel: {
            ticket?.cancel()
        }
    }
}
