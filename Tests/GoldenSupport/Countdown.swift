import Synchronization

/// How many more calls of a system go well.
package final class Countdown: Sendable {
    private let left: Mutex<Int>

    package init(_ count: Int) { left = Mutex(count) }

    /// Whether the next one does.
    package func take() -> Bool {
        left.withLock { left in
            left -= 1
            return left >= 0
        }
    }

    /// Whether the last one was the first that did not.
    package var isJustOver: Bool { left.withLock { $0 == -1 } }
}
