import Foundation
import LeafStream
import LeafSystem
import Synchronization

/// A disk that a test holds in its hand.
final class TestDisk: Sendable {
    private struct State {
        var isOpen = true
        var isWaitedFor = false
    }
    private let state = Mutex(State())
    private let opening = DispatchSemaphore(value: 0)
    private let waiting = DispatchSemaphore(value: 0)

    /// Every read waits until `open`.
    func close() {
        state.withLock { $0 = State(isOpen: false) }
    }

    /// Waits until somebody waits for the disk.
    func waitForReader() {
        waiting.wait()
        waiting.signal()
    }

    func open() {
        state.withLock { $0.isOpen = true }
        // A reader that wakes wakes the next.
        opening.signal()
    }

    var system: SystemCalls {
        var calls = SystemCalls.real
        let read = calls.read
        calls.read = { [self] descriptor, target, count, offset in
            let (isOpen, isFirst) = state.withLock { state in
                defer { if !state.isOpen { state.isWaitedFor = true } }
                return (state.isOpen, !state.isOpen && !state.isWaitedFor)
            }
            if isFirst { waiting.signal() }
            if !isOpen {
                opening.wait()
                opening.signal()
            }
            return read(descriptor, target, count, offset)
        }
        return calls
    }
}
